"""Metrics of finished generations: their phases, what they swapped, what they left behind; and the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.model import Report
from forgediag_exporters.metric import Metric, Sample


def _phase_seconds(report: Report) -> Iterator[Sample]:
    for name, tally in report.snapshot.tallies.items():
        for phase, seen in tally.phases.items():
            yield (name, phase), seen.seconds


def _phase_peaks(report: Report) -> Iterator[Sample]:
    for name, tally in report.snapshot.tallies.items():
        for phase, seen in tally.phases.items():
            if seen.peak.count:
                yield (name, phase), seen.peak


def _swapped(report: Report) -> Iterator[Sample]:
    for name, tally in report.snapshot.tallies.items():
        if tally.swapped is not None:
            yield (name,), tally.swapped


def _growth(report: Report) -> Iterator[Sample]:
    for name, tally in report.snapshot.tallies.items():
        for kind, size in zip(("gpu", "ram"), tally.growth, strict=True):
            if size is not None:
                yield (name, kind), size


def _step(report: Report) -> Iterator[Sample]:
    for target in report.snapshot.targets:
        if target.jobs and target.jobs[-1].step_seconds:
            steps = sorted(target.jobs[-1].step_seconds)
            yield (target.name,), steps[len(steps) // 2]


def _ledger(report: Report) -> Iterator[Sample]:
    for target in report.snapshot.targets:
        for part in target.ledger.parts if target.ledger is not None else ():
            yield (target.name, part.name, part.component or ""), part.size


T = ("target",)
JOB_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_phase_duration_seconds",
        "histogram",
        "Time one phase of a generation took.",
        ("target", "phase"),
        "What does an image spend its time on?",
        _phase_seconds,
    ),
    Metric(
        "forge_phase_memory_peak_bytes",
        "histogram",
        "The most GPU memory in use during one phase of a generation, everything on the card included.",
        ("target", "phase"),
        "Which phase needs the card's memory?",
        _phase_peaks,
    ),
    Metric(
        "forge_job_swapped_bytes",
        "gauge",
        "Weights of the last generation that stayed in system memory and were copied in at every step.",
        T,
        "Is the model swapped at every step?",
        _swapped,
    ),
    Metric(
        "forge_job_memory_growth_bytes",
        "gauge",
        "Memory in use after the last generation, less that after the one before.",
        ("target", "memory"),
        "Does memory grow job after job?",
        _growth,
    ),
    Metric(
        "forge_job_step_seconds",
        "gauge",
        "Median time of a sampling step of the last generation.",
        T,
        "Are steps slower than they were?",
        _step,
    ),
    Metric(
        "forge_memory_ledger_bytes",
        "gauge",
        "The card's memory shared out: driver, context, weights by component, activations, cache, others, free.",
        ("target", "part", "component"),
        "What holds the card's memory?",
        _ledger,
    ),
)
