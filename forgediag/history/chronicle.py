"""What of each report is worth remembering: verdicts that change, and memory curves in steps of ten seconds."""

from __future__ import annotations

from collections.abc import Callable

from forgediag.history.store import Row
from forgediag.model import Gap, GpuMemory, Process, Report, VerdictChange

STEP = 10
"""Seconds a point of a kept curve stands for."""


class Chronicle:
    """Follows one daemon's reports. Curves are `gpu:UUID` and `ram:TARGET`, in bytes."""

    def __init__(self, add: Callable[[Row], None]) -> None:
        """Begin.

        Args:
            add: where rows go.
        """
        self._add = add
        self._verdict: tuple[str, tuple[str, ...]] | None = None
        self._points: dict[str, tuple[int, int, int]] = {}

    def follow(self, report: Report) -> None:
        """Take one report."""
        found = tuple(f"{item.check}: {item.subject}" for item in report.findings)
        if self._verdict != (report.verdict.label, found):
            self._verdict = report.verdict.label, found
            self._add(VerdictChange(report.snapshot.at, report.verdict.label, found))
        at = int(report.snapshot.at) // STEP * STEP
        for name, low, high in _levels(report):
            before = self._points.get(name)
            if before is not None and before[0] == at:
                self._points[name] = at, min(low, before[1]), max(high, before[2])
                continue
            if before is not None:
                self._add({name: before})
            self._points[name] = at, low, high


def _levels(report: Report) -> list[tuple[str, int, int]]:
    """(curve, lowest, highest) of this moment; a card's highest is the peak of its shortest window."""
    snapshot = report.snapshot
    levels: list[tuple[str, int, int]] = []
    for gpu in () if isinstance(snapshot.nvml, Gap) else snapshot.nvml.gpus:
        if isinstance(gpu.memory, GpuMemory):
            used = gpu.memory.used
            levels.append((f"gpu:{gpu.info.uuid}", used, max(used, gpu.peaks.get(min(gpu.peaks, default=0), 0))))
    levels += [
        (f"ram:{target.name}", target.process.resident, target.process.resident)
        for target in snapshot.targets
        if isinstance(target.process, Process)
    ]
    return levels
