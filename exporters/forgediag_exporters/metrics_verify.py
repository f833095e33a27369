"""Metrics of the background verification: how the files stand, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forgediag.model import Report, Verdict, Verification
from forgediag_exporters.metric import Metric, Sample, Samples

VERDICTS: tuple[Verdict, ...] = ("ok", "changed", "corrupted", "missing", "unreadable", "pending")


def _each(samples: Callable[[Verification], Iterator[tuple[tuple[str, ...], float]]]) -> Samples:
    def read(report: Report) -> Iterator[Sample]:
        for target in report.snapshot.targets:
            if isinstance(target.verification, Verification):
                for labels, value in samples(target.verification):
                    yield (target.name, *labels), value

    return read


def _files(found: Verification) -> Iterator[tuple[tuple[str, ...], float]]:
    for verdict in VERDICTS:
        yield (verdict,), found.counts.get(verdict, 0)


def _bytes(found: Verification) -> Iterator[tuple[tuple[str, ...], float]]:
    yield ("total",), found.total
    yield ("verified",), found.fresh


def _oldest(found: Verification) -> Iterator[tuple[tuple[str, ...], float]]:
    if found.oldest is not None:
        yield (), found.oldest


VERIFY_METRICS: tuple[Metric, ...] = (
    Metric(
        "forgediag_model_verify_files",
        "gauge",
        "Model files by how the background verification found them.",
        ("target", "state"),
        "Did a model file change silently?",
        _each(_files),
    ),
    Metric(
        "forgediag_model_verify_bytes",
        "gauge",
        "Bytes of all model files, and of those read within the last round.",
        ("target", "kind"),
        "How far is the verification?",
        _each(_bytes),
    ),
    Metric(
        "forgediag_model_verify_oldest_timestamp_seconds",
        "gauge",
        "Unix time of the read that is longest ago.",
        ("target",),
        "How old is what is known of the files?",
        _each(_oldest),
    ),
    Metric(
        "forgediag_model_verify_round_seconds",
        "gauge",
        "Seconds in which every file is to be read once.",
        ("target",),
        "How often is each file read?",
        _each(lambda found: iter((((), found.seconds),))),
    ),
)
