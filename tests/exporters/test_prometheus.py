"""The exposition: equal to prometheus_client's own, byte for byte, and fast."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, exposition, utils
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from forgediag import __version__
from forgediag.model import Distribution, Report
from forgediag.testing.reports import report
from forgediag_exporters.metric import Metric, Sample
from forgediag_exporters.metrics import METRICS
from forgediag_exporters.prometheus import PROMETHEUS, Collector, family, number, renderer

GOLDEN = Path(__file__).parent / "golden"
Reference = Callable[[CollectorRegistry], bytes]
REFERENCES = {
    False: cast("Reference", exposition.generate_latest),
    True: cast("Reference", openmetrics.generate_latest),
}
client_number = cast("Callable[[float], str]", utils.floatToGoString)


class Table:
    """A prometheus_client collector of any metrics."""

    def __init__(self, metrics: tuple[Metric, ...], of: Report) -> None:
        self._metrics, self._of = metrics, of

    def collect(self) -> Iterator[Family]:
        for metric in self._metrics:
            yield family(metric, self._of)


def reference(metrics: tuple[Metric, ...], of: Report, *, open_metrics: bool) -> bytes:
    registry = CollectorRegistry()
    registry.register(Table(metrics, of))
    return REFERENCES[open_metrics](registry)


@pytest.mark.parametrize("open_metrics", [False, True], ids=["text", "openmetrics"])
@pytest.mark.parametrize("gpus", [1, 3])
def test_the_exposition_of_a_report_is_prometheus_clients(gpus: int, *, open_metrics: bool) -> None:
    of = report(gpus, seconds=137.5)
    assert PROMETHEUS[open_metrics].render(of) == reference(METRICS, of, open_metrics=open_metrics)


@pytest.mark.parametrize("open_metrics", [False, True], ids=["text", "openmetrics"])
def test_the_exposition_is_that_of_the_newest_report(*, open_metrics: bool) -> None:
    render = renderer(METRICS, openmetrics=open_metrics)
    for of in (report(2, seconds=3), report(1, seconds=4), report(3, seconds=5), report(3, seconds=6)):
        assert render(of) == reference(METRICS, of, open_metrics=open_metrics)


texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.from_regex(r"forge_[a-z]{1,8}", fullmatch=True)
labels = st.lists(st.sampled_from(["target", "gpu", "kind", "a", "z", "mode"]), unique=True, max_size=4)
values = st.one_of(st.floats(), st.integers(-(2**63), 2**63), st.booleans())
bounds = st.lists(st.floats(0, 1e9, exclude_min=True), min_size=1, max_size=5, unique=True).map(sorted)


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    edges = tuple(draw(bounds))
    steps = draw(st.lists(st.integers(0, 10**9), min_size=len(edges) + 1, max_size=len(edges) + 1))
    counts = [sum(steps[: index + 1]) for index in range(len(steps))]
    return Distribution(edges, tuple(counts[:-1]), counts[-1], draw(st.floats(0, 1e12)) + 0.0)


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    name, kind = draw(names), draw(st.sampled_from(["gauge", "counter", "histogram"]))
    keys = tuple(draw(labels))
    series = draw(st.lists(st.tuples(*[texts for _ in keys]), unique=True, max_size=4))
    if kind == "histogram":
        found: list[Sample] = [(of, draw(distributions())) for of in series]
    else:
        found = [(of, draw(values) + 0.0) for of in series]
    documentation = draw(texts.filter(lambda text: "\r" not in text))
    return Metric(name, kind, documentation, keys, "", lambda _: found)  # type: ignore[arg-type] # kind is one of the three


@settings(max_examples=300, deadline=None)
@given(metric=metrics(), open_metrics=st.booleans())
def test_the_exposition_of_any_metric_is_prometheus_clients(metric: Metric, *, open_metrics: bool) -> None:
    render = partial(renderer((metric,), openmetrics=open_metrics), report(1))
    expected = reference((metric,), report(1), open_metrics=open_metrics)
    assert render() == expected
    assert render() == expected, "the second rendering differs from the first"


@settings(max_examples=500, deadline=None)
@given(values)
def test_a_number_is_written_as_prometheus_client_does(value: float) -> None:
    assert number(value) == client_number(value + 0.0)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0.0"),
        (True, "1.0"),
        (-0.0, "0.0"),
        (1e5, "100000.0"),
        (1e6, "1e+06"),
        (1048576, "1.048576e+06"),
        (123456789.5, "1.234567895e+08"),
        (-1e9, "-1000000000.0"),
        (1e16, "1e+16"),
        (1e-7, "1e-07"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_have_gos_notation(value: float, written: str) -> None:
    assert number(value) == written


def test_a_label_value_cannot_break_out_of_its_quotes() -> None:
    hostile = 'a"} 1\nforge_up{target="b\\'
    metric = Metric("forge_up", "gauge", "Up.", ("target",), "", lambda _: [((hostile,), 1.0)])
    parsed = list(text_string_to_metric_families(renderer((metric,), openmetrics=False)(report(1)).decode()))
    assert [(sample.name, sample.labels) for item in parsed for sample in item.samples] == [
        ("forge_up", {"target": hostile})
    ]


def test_series_that_have_gone_are_forgotten() -> None:
    alive: list[str] = []
    metric = Metric("forge_x", "gauge", "X.", ("a",), "", lambda _: [((name,), 1.0) for name in alive])
    render = renderer((metric,), openmetrics=False)
    for start in range(0, 2000, 100):
        alive[:] = [str(number) for number in range(start, start + 100)]
        assert render(report(1)).count(b"forge_x{") == 100


def test_a_collector_gives_every_family_to_a_registry_of_ones_own() -> None:
    newest: list[Report] = []
    registry = CollectorRegistry()
    registry.register(Collector(lambda: newest[-1] if newest else None))
    assert exposition.generate_latest(registry) == b""
    newest.append(report(2, seconds=9))
    assert REFERENCES[False](registry) == PROMETHEUS[0].render(newest[0])


@pytest.mark.parametrize(("index", "name"), [(0, "metrics.txt"), (1, "metrics.openmetrics")])
def test_the_exposition_of_a_fixed_report_is_the_one_kept(index: int, name: str) -> None:
    rendered = PROMETHEUS[index].render(report(1, seconds=137.5)).decode().replace(__version__, "VERSION")
    kept = (GOLDEN / name).read_text("utf-8")
    different = set(rendered.splitlines()) ^ set(kept.splitlines())
    assert not sorted(different)[:6], "if that is meant, write the golden file anew"
    assert rendered == kept


def test_metrics_and_openmetrics_share_a_path_and_text_is_the_default() -> None:
    assert [(item.name, item.path) for item in PROMETHEUS] == [("prometheus", "/metrics"), ("openmetrics", "/metrics")]
    assert [item.media_type for item in PROMETHEUS] == [
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ]


def test_the_daemon_does_not_pay_for_what_it_does_not_use() -> None:
    code = "import sys, forgediag_exporters; print([name for name in sys.modules if name in sys.argv])"
    unused = ["prometheus_client", "forgediag_exporters.grafana", "forgediag_exporters.rules"]
    done = subprocess.run([sys.executable, "-c", code, *unused], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
