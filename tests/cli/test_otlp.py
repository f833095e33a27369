"""Metrics pushed over OTLP to a real HTTP server, decoded with OTLP's own protobuf."""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from forgediag.cli import Failure
from forgediag.cli.otlp import Otlp
from forgediag.testing.reports import report


class Collector:
    """Takes what is pushed, or refuses it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def sent(collector: Collector) -> dict[str, Any]:
    request = ExportMetricsServiceRequest.FromString(collector.got[-1])
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    assert {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"] == "forgediag"
    return {metric.name: metric for metric in scope.metrics}


def test_every_family_arrives_as_what_it_is(collector: Collector) -> None:
    otlp = Otlp(collector.url)
    otlp._report = report(seconds=100.0)
    otlp.push()
    metrics = sent(collector)

    up = metrics["forge_up"].gauge.data_points[0]
    assert (up.as_double, up.attributes[0].key, up.attributes[0].value.string_value) == (1.0, "target", "forge")
    jobs = metrics["forge_jobs"].sum
    assert jobs.is_monotonic
    assert {point.as_double for point in jobs.data_points} >= {9.0, 1.0}
    assert metrics["forge_inference_memory_bytes"].unit == "By"
    lasts = metrics["forge_job_duration_seconds"].histogram.data_points[0]
    assert (lasts.count, lasts.sum, sum(lasts.bucket_counts)) == (10, 100.0, 10)
    assert len(lasts.bucket_counts) == len(lasts.explicit_bounds) + 1
    assert metrics["forge_job_duration_seconds"].unit == "s"


def test_the_first_report_starts_the_pushing(collector: Collector) -> None:
    otlp = Otlp(collector.url, every=0.05)
    otlp.push()
    otlp.take(report())
    otlp.take(report(seconds=1.0))

    async def until() -> None:
        for _ in range(200):
            if len(collector.got) >= 2:
                return
            await asyncio.sleep(0.02)

    asyncio.run(until())
    otlp._every = 3600.0
    assert len(collector.got) >= 2


def test_a_collector_that_refuses_is_told_once(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 400
    otlp = Otlp(collector.url)
    otlp._report = report()
    otlp.push()
    otlp.push()

    assert caplog.text.count("the OTLP collector does not take the metrics") == 1


def test_without_the_extra_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)

    with pytest.raises(Failure, match="--otlp needs packages"):
        Otlp("http://127.0.0.1:9/v1/metrics")
