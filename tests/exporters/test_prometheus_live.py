"""A real Prometheus scrapes what is exported, and every query of the dashboard and the rules finds something in it."""

from __future__ import annotations

import math
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from forgediag.export import Exporter
from forgediag.model import CheckResult, Gap, Report, Severity
from forgediag.testing.facts import GIB
from forgediag.testing.prometheus import Prometheus, QueryError
from forgediag.testing.reports import report, with_gpu
from forgediag_exporters.grafana import DASHBOARDS, dashboard
from forgediag_exporters.panel import Variable
from forgediag_exporters.prometheus import PROMETHEUS
from forgediag_exporters.rules import ALERTS, RECORDINGS, RULES, files

SCRAPES = 8
SPEED = 20.0
"""Seconds of the report's time in one second of the test's."""

QUERIES = [
    (panel["type"], target["expr"], f"{shown.title}: {panel['title']} {target['refId']}")
    for shown in DASHBOARDS
    for panel in dashboard(shown)["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
]
VARIABLES = DASHBOARDS[1].variables
FORMATS = ("text", "openmetrics")


def healthy(seconds: float) -> Report:
    return report(2, seconds=seconds, start=time.time() - seconds)


def troubled(seconds: float) -> Report:
    """One Forge that is down; another whose card is full, with a failed check and a driver that hangs."""
    given = with_gpu(report(2, seconds=seconds, start=time.time() - seconds), peaks={15: 12 * GIB, 300: 23.5 * GIB})
    up = given.snapshot.targets[0]
    down = replace(up, name="second", forge=Gap("nothing listens there", "refused"))
    stale = replace(given.snapshot.sources[0], success=False, last_success=1_700_000_000.0)
    return replace(
        given,
        snapshot=replace(given.snapshot, targets=(up, down), sources=(stale, *given.snapshot.sources[1:])),
        results=(*given.results, CheckResult("host-ram-2", up.name, Severity.FAILURE, 0.0)),
    )


@contextmanager
def served(exporter: Exporter, of: Callable[[float], Report]) -> Iterator[str]:
    """A server of what an exporter renders, as time goes on; its "host:port"."""
    started = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.render(of((time.monotonic() - started) * SPEED))
            self.send_response(200)
            self.send_header("content-type", exporter.media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def scraped(
    start_prometheus: Callable[..., Prometheus], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, dict[str, str]]]:
    """A Prometheus that has scraped for some seconds, and its instances by what they serve."""
    rules: Path = tmp_path_factory.mktemp("rules") / RULES
    rules.write_text(files()[RULES], "utf-8")
    with ExitStack() as stack:
        instances = {
            "text": stack.enter_context(served(PROMETHEUS[0], healthy)),
            "openmetrics": stack.enter_context(served(PROMETHEUS[1], healthy)),
            "troubled": stack.enter_context(served(PROMETHEUS[0], troubled)),
        }
        prometheus = start_prometheus(list(instances.values()), [rules])
        prometheus.wait(lambda it: len(it.query(f"count_over_time(up[1m]) >= {SCRAPES}")) == len(instances))
        yield prometheus, instances


Scraped = tuple[Prometheus, dict[str, str]]


def filled(expr: str, instance: str) -> str:
    """An expression with Grafana's variables replaced as Grafana does when all Forges and cards are chosen."""
    choice = {"job": "forgediag", "instance": re.escape(instance).replace("\\", "\\\\"), "target": ".+", "gpu": ".+"}
    windows = {"__rate_interval": f"{SCRAPES}s", "__range": "1m"}
    return re.sub(r"\$(\w+)", lambda found: {**choice, **windows}[found[1]], expr)


def numbers(found: list[Any]) -> list[float]:
    values = [float(value) for series in found for _, value in series.get("values", [series.get("value")])]
    return [value for value in values if math.isfinite(value)]


def test_no_scrape_fails_in_either_format(scraped: Scraped) -> None:
    prometheus, instances = scraped
    assert {target["health"] for target in prometheus.targets()} == {"up"}
    assert {target["lastError"] for target in prometheus.targets()} == {""}
    assert numbers(prometheus.query("min_over_time(up[1m])")) == [1.0] * len(instances)


@pytest.mark.parametrize("form", FORMATS)
def test_every_sample_is_taken_in(form: str, scraped: Scraped) -> None:
    prometheus, instances = scraped
    index = FORMATS.index(form)
    lines = PROMETHEUS[index].render(healthy(160)).splitlines()
    expected = sum(not line.startswith(b"#") for line in lines)
    name = f'{{instance="{instances[form]}"}}'
    assert numbers(prometheus.query(f"scrape_samples_scraped{name}")) == [expected]
    assert numbers(prometheus.query(f"count({{__name__=~'forge.*|process_.*', instance='{instances[form]}'}})")) == [
        expected
    ]


@pytest.mark.parametrize("variable", VARIABLES, ids=[variable.name for variable in VARIABLES])
def test_every_variable_has_values(variable: Variable, scraped: Scraped) -> None:
    prometheus, instances = scraped
    parsed = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable.query, instances["text"]))
    assert parsed is not None
    expected = {"job": ["forgediag"], "instance": sorted(instances.values()), "target": ["forge"], "gpu": ["0", "1"]}
    assert prometheus.label_values(parsed[2], parsed[1]) == expected[variable.name]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("kind", "expr", "title"), QUERIES, ids=[query[2] for query in QUERIES])
def test_every_query_of_the_dashboard_finds_numbers(
    kind: str, expr: str, title: str, form: str, scraped: Scraped
) -> None:
    prometheus, instances = scraped
    query = filled(expr, instances[form])
    assert numbers(prometheus.query(query)), query
    if kind != "stat":
        assert numbers(prometheus.query_range(query, seconds=5)), query


TROUBLES = {"ForgeDown", "ForgeCheckFailed", "GpuMemoryAlmostFull", "ForgediagSourceStale"}
"""Alerts whose condition the troubled reports have and the healthy ones have not."""


def test_alerts_find_their_trouble_and_nothing_where_there_is_none(scraped: Scraped) -> None:
    prometheus, instances = scraped
    found = {alert.name: {series["metric"]["instance"] for series in prometheus.query(alert.expr)} for alert in ALERTS}
    sometimes = {"CudaOutOfMemory", "CudaAllocationRetries", "ForgeOptionsChanged", "ForgeJobsFail"}
    sometimes |= {"InferenceMemoryTooSmall", "ForgediagReportStale", "HostMemoryRunsOut"}  # at 20 times the speed
    assert {name for name, where in found.items() if where == {instances["troubled"]}} - sometimes == TROUBLES
    assert {name for name, where in found.items() if where - {instances["troubled"]}} <= sometimes


def test_prometheus_evaluates_every_rule(scraped: Scraped) -> None:
    prometheus, _ = scraped
    prometheus.wait(lambda it: {rule["health"] for rule in it.rules()} == {"ok"})
    assert {rule["name"] for rule in prometheus.rules()} == {rule.name for rule in (*RECORDINGS, *ALERTS)}


def test_what_holds_a_cards_memory_adds_up_to_its_total(scraped: Scraped) -> None:
    prometheus, instances = scraped
    here = f'instance="{instances["text"]}"'
    parts = (
        f"sum by (gpu) (forge_gpu_process_memory_bytes{{{here}}})"
        f' + on (gpu) forge_gpu_memory_bytes{{{here}, kind="free"}}'
        f' + on (gpu) forge_gpu_memory_bytes{{{here}, kind="reserved"}}'
    )
    assert numbers(prometheus.query(parts)) == [24 * GIB, 24 * GIB]


def test_a_query_that_cannot_be_parsed_is_an_error(scraped: Scraped) -> None:
    prometheus, _ = scraped
    with pytest.raises(QueryError, match="parse error"):
        prometheus.query("sum(")


def test_waiting_in_vain_ends_with_what_is_scraped(scraped: Scraped) -> None:
    prometheus, instances = scraped
    with pytest.raises(TimeoutError, match=instances["text"]):
        prometheus.wait(lambda _: False, seconds=0.1)


def test_promtool_has_nothing_to_say_about_the_metrics(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "metrics"], input=PROMETHEUS[0].render(troubled(160)), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
