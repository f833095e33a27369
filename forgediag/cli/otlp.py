"""Metrics pushed over OTLP (extra `[otlp]`), for collectors that do not scrape."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from forgediag import __version__
from forgediag.cli import Failure
from forgediag.model import Report
from forgediag.packages import install
from forgediag.plugins import exporters

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from prometheus_client.samples import Sample

log = logging.getLogger("forgediag")

PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
"""What it needs, as PyPI names it."""

EVERY = 15.0
"""Seconds between two pushes, as between two scrapes."""


class Otlp:
    """Pushes the newest report's metrics every 15 s, from a thread of its own: a slow collector delays nothing."""

    def __init__(self, endpoint: str, *, every: float = EVERY) -> None:
        """Prepare; nothing is sent.

        Args:
            endpoint: the collector's address for metrics over HTTP, like http://127.0.0.1:4318/v1/metrics.
            every: seconds between two pushes.

        Raises:
            Failure: the extra is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        except ImportError as error:
            raise Failure(f"--otlp needs packages; run {install(*PACKAGES)}") from error
        self._exporter: Any = OTLPMetricExporter(endpoint=endpoint, timeout=10)
        self._render = next(item.render for item in exporters() if item.path == "/metrics")
        self._every = every
        self._report: Report | None = None
        self._failed = False
        self._thread: threading.Thread | None = None

    def take(self, report: Report) -> None:
        """Note the newest report; the first one starts the thread."""
        self._report = report
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="forgediag-otlp", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self.push()
            time.sleep(self._every)

    def push(self) -> None:
        """Send the newest report. A collector that does not take it is told once in the log, until it does again."""
        from opentelemetry.sdk.metrics.export import MetricExportResult  # noqa: PLC0415

        report = self._report
        if report is None:
            return
        sent = self._exporter.export(metrics(self._render(report).decode(), report.snapshot.at, _started(report)))
        if sent is not MetricExportResult.SUCCESS and not self._failed:
            log.error("the OTLP collector does not take the metrics")
        self._failed = sent is not MetricExportResult.SUCCESS


def _started(report: Report) -> float:
    return report.snapshot.own.started if report.snapshot.own is not None else report.snapshot.at


def metrics(text: str, at: float, started: float) -> MetricsData:
    """The exposition in OTLP's terms: counters as cumulative sums, histograms as histograms, the rest as gauges.

    Args:
        text: Prometheus' text format.
        at: Unix seconds of the values.
        started: Unix seconds since which counters count.
    """
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    found = [*_metrics(text, int(at * 1e9), int(started * 1e9))]
    scope = ScopeMetrics(InstrumentationScope("forgediag", __version__), found, "")
    resource = Resource({"service.name": "forgediag", "service.version": __version__})
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metrics(text: str, at: int, started: int) -> Iterator[Metric]:
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        AggregationTemporality,
        Gauge,
        Histogram,
        Metric,
        NumberDataPoint,
        Sum,
    )
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    for family in text_string_to_metric_families(text):
        unit = "By" if family.name.endswith("_bytes") else "s" if family.name.endswith("_seconds") else "1"
        data: Any
        if family.type == "histogram":
            data = Histogram([*_histograms(family.samples, at, started)], AggregationTemporality.CUMULATIVE)
        else:
            points = [NumberDataPoint(dict(each.labels), started, at, each.value) for each in family.samples]
            counts = family.type == "counter"
            data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True) if counts else Gauge(points)
        yield Metric(family.name, family.documentation, unit, data)


def _histograms(samples: Iterable[Sample], at: int, started: int) -> Iterator[Any]:
    """A data point for each set of labels; Prometheus counts buckets up, OTLP each by itself."""
    from opentelemetry.sdk.metrics.export import HistogramDataPoint  # noqa: PLC0415

    sets: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for each in samples:
        labels: Mapping[str, str] = {name: value for name, value in each.labels.items() if name != "le"}
        seen = sets.setdefault(tuple(sorted(labels.items())), {"buckets": [], "count": 0.0, "sum": 0.0})
        if each.name.endswith("_bucket"):
            seen["buckets"].append((float(each.labels["le"]), int(each.value)))
        else:
            seen[each.name.rpartition("_")[2]] = each.value
    for key, seen in sets.items():
        buckets = sorted(seen["buckets"])
        counts = [count - before for (_, count), before in zip(buckets, [0, *(c for _, c in buckets)], strict=False)]
        bounds = [bound for bound, _ in buckets[:-1]]
        nothing = float("nan")
        yield HistogramDataPoint(
            dict(key), started, at, int(seen["count"]), float(seen["sum"]), counts, bounds, nothing, nothing
        )
