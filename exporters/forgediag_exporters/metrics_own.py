"""Metrics of forgediag itself: which sources it can read, how old its facts are, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from forgediag import __version__
from forgediag.model import Own, Probe, Report, SourceHealth
from forgediag_exporters.metric import Metric, Sample, Samples


def _source(value: Callable[[SourceHealth], float | None]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for health in report.snapshot.sources:
            if (number := value(health)) is not None:
                yield (health.source,), number

    return samples


def _errors(report: Report) -> Iterator[Sample]:
    for health in report.snapshot.sources:
        for kind, count in sorted(health.errors.items()):
            yield (health.source, kind), count


def _lag(report: Report) -> Iterator[Sample]:
    if report.snapshot.sampler_lag is not None:
        yield (), report.snapshot.sampler_lag


def _probe(value: Callable[[Probe], float]) -> Samples:
    def samples(report: Report) -> Iterable[Sample]:
        return [] if report.probe is None else [((report.probe.target,), value(report.probe))]

    return samples


def _own(value: Callable[[Own], float]) -> Samples:
    def samples(report: Report) -> Iterable[Sample]:
        return [] if report.snapshot.own is None else [((), value(report.snapshot.own))]

    return samples


S = ("source",)
OWN_METRICS: tuple[Metric, ...] = (
    Metric(
        "forgediag_build_info",
        "gauge",
        "Version of forgediag; always 1.",
        ("version",),
        "Which forgediag is it?",
        lambda _: [((__version__,), 1.0)],
    ),
    Metric(
        "forgediag_poll_success",
        "gauge",
        "Whether the last read of a source brought its facts.",
        S,
        "Can forgediag see?",
        _source(lambda health: float(health.success)),
    ),
    Metric(
        "forgediag_poll_duration_seconds",
        "gauge",
        "Time the last read of a source took.",
        S,
        "Is a source slow?",
        _source(lambda health: health.duration),
    ),
    Metric(
        "forgediag_poll_last_success_timestamp_seconds",
        "gauge",
        "When a source was last read well, in Unix seconds.",
        S,
        "How old are the facts?",
        _source(lambda health: health.last_success),
    ),
    Metric(
        "forgediag_poll_errors",
        "counter",
        "Reads of a source that failed, by kind.",
        ("source", "kind"),
        "Why can forgediag not see?",
        _errors,
    ),
    Metric(
        "forgediag_probe_success",
        "gauge",
        "Whether a Forge answered within the time of this scrape (/probe only).",
        ("target",),
        "Did it answer this scrape?",
        _probe(lambda probe: float(probe.success)),
    ),
    Metric(
        "forgediag_probe_duration_seconds",
        "gauge",
        "Time this scrape waited for a Forge (/probe only).",
        ("target",),
        "How long did this scrape wait for it?",
        _probe(lambda probe: probe.seconds),
    ),
    Metric(
        "forgediag_sampler_lag_seconds",
        "gauge",
        "How late the last GPU memory sample came.",
        (),
        "Can peaks be trusted?",
        _lag,
    ),
    Metric(
        "forgediag_snapshot_timestamp_seconds",
        "gauge",
        "When the facts of this answer were put together, in Unix seconds.",
        (),
        "How old is this answer?",
        lambda report: [((), report.snapshot.at)],
    ),
    Metric(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        (),
        "What does forgediag take?",
        _own(lambda own: own.resident),
    ),
    Metric(
        "process_cpu_seconds",
        "counter",
        "Total user and system CPU time spent in seconds.",
        (),
        "What does forgediag cost?",
        _own(lambda own: own.cpu_seconds),
    ),
    Metric(
        "process_start_time_seconds",
        "gauge",
        "Start time of the process since unix epoch in seconds.",
        (),
        "When was forgediag started?",
        _own(lambda own: own.started),
    ),
)
