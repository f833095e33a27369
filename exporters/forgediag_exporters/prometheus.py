"""The metric table as Prometheus text and OpenMetrics, equal to prometheus_client's own output and much faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from forgediag.export import Exporter
from forgediag.model import Distribution, Report
from forgediag_exporters.metric import Metric
from forgediag_exporters.metrics import METRICS

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A value as both formats have it: Go's notation, with an exponent from a million on; -0.0 is written as 0.0.

    Most values are the same as a moment ago, so the newest ones are kept.
    """
    text = repr(float(value) + 0.0)
    if text in SPECIAL:
        return SPECIAL[text]
    whole, point, rest = text.partition(".")
    if point and len(whole) > 6 and whole[0] != "-":
        return f"{whole[0]}.{whole[1:]}{rest}".rstrip("0.") + f"e+{len(whole) - 1:02d}"
    return text


SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


def escape(value: str) -> str:
    r"""A label value as both formats want it: \, " and line feeds escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class Lines:
    """Renders one metric. The part of a line before its value is made once for each series and kept while it lives.

    prometheus_client sorts labels by name, so this does; its `generate_latest` costs about ten times as much.
    """

    def __init__(self, metric: Metric, *, openmetrics: bool) -> None:
        suffix = "_total" if metric.kind == "counter" else ""
        shown = metric.name if openmetrics else metric.name + suffix
        documentation = escape(metric.help) if openmetrics else metric.help.replace("\\", r"\\").replace("\n", r"\n")
        self.head = f"# HELP {shown} {documentation}\n# TYPE {shown} {metric.kind}\n"
        self._metric = metric
        self._name = metric.name + suffix
        self._order = sorted(range(len(metric.labels)), key=lambda index: metric.labels[index])
        self._prefixes: dict[tuple[str, ...], str] = {}
        self._most = 0
        self._buckets: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, report: Report, lines: list[str]) -> None:
        """Append the family's lines."""
        lines.append(self.head)
        used = 0
        prefixes = self._prefixes
        for labels, value in self._metric.samples(report):
            used += 1
            if isinstance(value, Distribution):
                lines += self._histogram(labels, value)
                continue
            prefix = prefixes.get(labels)
            if prefix is None:
                prefix = prefixes[labels] = self._prefix(self._name, labels)
            lines.append(f"{prefix}{number(value)}\n")
        self._most = max(self._most, used)  # a probe has one target's series, the next answer all of them again
        if len(prefixes) > 2 * self._most + 100:  # series that have gone
            prefixes.clear()
            self._most = used

    def _prefix(self, name: str, values: Sequence[str], extra: str = "") -> str:
        pairs = [f'{self._metric.labels[index]}="{escape(values[index])}"' for index in self._order]
        if extra:
            pairs = sorted([*pairs, extra])
        return f"{name}{{{','.join(pairs)}}} " if pairs else f"{name} "

    def _histogram(self, labels: tuple[str, ...], value: Distribution) -> Iterator[str]:
        key = (*labels, *map(number, value.bounds), "+Inf")
        buckets = self._buckets.get(key)
        if buckets is None:
            bounds = key[len(labels) :]
            buckets = tuple(self._prefix(f"{self._name}_bucket", labels, f'le="{bound}"') for bound in bounds)
            buckets += (self._prefix(f"{self._name}_count", labels), self._prefix(f"{self._name}_sum", labels))
            self._buckets[key] = buckets
        values = (*value.counts, value.count, value.count, value.sum)
        for prefix, item in zip(buckets, values, strict=True):
            yield f"{prefix}{number(item)}\n"


def renderer(metrics: Sequence[Metric], *, openmetrics: bool) -> Callable[[Report], bytes]:
    """A function from a report to the exposition of `metrics`."""
    families = [Lines(metric, openmetrics=openmetrics) for metric in metrics]
    end = "# EOF\n" if openmetrics else ""

    def render(report: Report) -> bytes:
        lines: list[str] = []
        for family in families:
            family.add(report, lines)
        lines.append(end)
        return "".join(lines).encode()

    return render


class Collector:
    """A prometheus_client collector of the same table, for a registry of your own."""

    def __init__(self, report: Callable[[], Report | None]) -> None:
        self._report = report

    def collect(self) -> Iterator[Family]:
        """Every family of the newest report; nothing before the first one."""
        report = self._report()
        if report is not None:
            for metric in METRICS:
                yield family(metric, report)


def family(metric: Metric, report: Report) -> Family:
    """One row of the table as prometheus_client's metric family."""
    from prometheus_client.metrics_core import (  # noqa: PLC0415 - only for who embeds it
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in metric.samples(report):
            if isinstance(value, Distribution):
                bounds = [*map(number, value.bounds), "+Inf"]
                buckets = list(zip(bounds, map(float, (*value.counts, value.count)), strict=True))
                histogram.add_metric(labels, buckets, value.sum)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    found = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.samples(report):
        if not isinstance(value, Distribution):
            found.add_metric(labels, value)
    return found


PROMETHEUS = (
    Exporter("prometheus", "/metrics", TEXT, renderer(METRICS, openmetrics=False)),
    Exporter("openmetrics", "/metrics", OPENMETRICS, renderer(METRICS, openmetrics=True)),
)
