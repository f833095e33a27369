"""Metrics of what was judged: files, checks, findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from forgediag.model import Gap, Report
from forgediag_exporters.metric import Metric, Sample


def _model_files(report: Report) -> Iterator[Sample]:
    for target in report.snapshot.targets:
        if isinstance(target.files, Gap):
            continue
        counts = Counter((file.family, file.format, "faulty" if file.fault else "whole") for file in target.files.files)
        if target.files.unreadable:
            counts["unknown", "unknown", "unreadable"] = len(target.files.unreadable)
        for (family, kind, state), count in sorted(counts.items()):
            yield (target.name, family, kind, state), count


def _status(report: Report) -> Iterable[Sample]:
    return [((result.target, result.check), float(result.status)) for result in report.results]


def _check_seconds(report: Report) -> Iterable[Sample]:
    return [((result.target, result.check), result.seconds) for result in report.results]


def _findings(report: Report) -> Iterator[Sample]:
    counts = Counter((finding.target, finding.severity.label) for finding in report.findings)
    for target in report.snapshot.targets:
        for severity in ("unknown", "warning", "failure"):
            yield (target.name, severity), counts[target.name, severity]


JUDGED_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_model_files",
        "gauge",
        "Model files in Forge's folders, by what their headers say.",
        ("target", "family", "format", "state"),
        "Are the files whole?",
        _model_files,
    ),
    Metric(
        "forge_check_status",
        "gauge",
        "How a check ended: 0 ok, 1 unknown, 2 warning, 3 failure.",
        ("target", "check"),
        "What is wrong?",
        _status,
    ),
    Metric(
        "forge_check_duration_seconds",
        "gauge",
        "Time the last run of a check took.",
        ("target", "check"),
        "Is a check slow?",
        _check_seconds,
    ),
    Metric(
        "forge_findings",
        "gauge",
        "Findings by severity.",
        ("target", "severity"),
        "How much is wrong?",
        _findings,
    ),
    Metric(
        "forgediag_verdict",
        "gauge",
        "The worst severity among all findings: 0 ok, 1 unknown, 2 warning, 3 failure.",
        (),
        "Is all well?",
        lambda report: [((), float(report.verdict))],
    ),
)
