"""Verdicts kept for each target, and judged again when something changed there or time has passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from forgediag.check import Check, run_checks
from forgediag.model import CheckResult, Finding, Snapshot

AT_LEAST_EVERY = 5.0
"""Seconds after which a target is judged again though no source said that anything changed (memory moves)."""

SPREAD = 4
"""Part of the targets judged again in one go for their age alone: a hundred at once would hold everything up."""

Verdict = tuple[tuple[Finding, ...], tuple[CheckResult, ...]]


class Judge:
    """Runs the checks on those targets that need it. A check sees one target and its machine, never another target."""

    def __init__(self, checks: Sequence[Check], clock: Callable[[], float]) -> None:
        """Judge with `checks`; `clock` counts monotonic seconds."""
        self._checks, self._clock = checks, clock
        self._verdicts: dict[str, Verdict] = {}
        self._judged: dict[str, float] = {}

    def doubt(self, *names: str) -> None:
        """Something changed at these targets; without names, at all."""
        for name in names or tuple(self._judged):
            self._judged.pop(name, None)

    def judge(self, snapshot: Snapshot) -> Verdict:
        """Findings worst first, and how each check ended, for the targets of a snapshot."""
        now = self._clock()
        names = [target.name for target in snapshot.targets]
        old = sorted(
            (name for name in names if now - self._judged.get(name, now) >= AT_LEAST_EVERY),
            key=self._judged.__getitem__,
        )
        due = {name for name in names if name not in self._judged} | set(old[: 1 + len(names) // SPREAD])
        for target in snapshot.targets:
            if target.name in due:
                self._verdicts[target.name] = run_checks(
                    self._checks, replace(snapshot, targets=(target,)), self._clock
                )
                self._judged[target.name] = now
        findings = [finding for name in names for finding in self._verdicts[name][0]]
        results = tuple(result for name in names for result in self._verdicts[name][1])
        return tuple(sorted(findings, key=lambda finding: -finding.severity)), results
