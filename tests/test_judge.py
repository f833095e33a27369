"""When a target is judged again, and when its verdict is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from forgediag.check import Problem, check
from forgediag.judge import AT_LEAST_EVERY, Judge
from forgediag.model import Gap, Severity, Snapshot, Target

GAP = Gap("not here", "missing", expected=True)


class Judged:
    """A judge of some targets that counts how often it looks at each."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.looks: Counter[str] = Counter()
        targets = tuple(Target(f"t{index}", GAP, GAP, GAP, GAP, GAP) for index in range(count))
        self.snapshot = Snapshot(0.0, targets, GAP, GAP)

        @check("odd", title="t", why="w", severity=Severity.WARNING)
        def odd(target: Target) -> Iterator[Problem]:
            self.looks[target.name] += 1
            if target.name == "t1":
                yield Problem("s", "odd", severity=Severity.FAILURE)
            yield Problem("s", "always")

        self.judge = Judge([odd], lambda: self.now)

    def look(self) -> None:
        self.judge.judge(self.snapshot)


def test_findings_of_all_targets_come_worst_first_and_results_in_order() -> None:
    judged = Judged(3)
    findings, results = judged.judge.judge(judged.snapshot)
    assert [(finding.target, finding.severity) for finding in findings] == [
        ("t1", Severity.FAILURE),
        ("t0", Severity.WARNING),
        ("t1", Severity.WARNING),
        ("t2", Severity.WARNING),
    ]
    assert [result.target for result in results] == ["t0", "t1", "t2"]


def test_a_verdict_is_kept_until_something_changes_there() -> None:
    judged = Judged(3)
    judged.look()
    judged.look()
    judged.judge.doubt("t1")
    judged.look()
    assert judged.looks == {"t0": 1, "t1": 2, "t2": 1}
    judged.judge.doubt()
    judged.look()
    assert judged.looks == {"t0": 2, "t1": 3, "t2": 2}


def test_a_hundred_old_verdicts_are_renewed_in_turns() -> None:
    judged = Judged(100)
    judged.look()
    judged.now = AT_LEAST_EVERY
    judged.look()
    assert judged.looks.total() == 126
    for _ in range(3):
        judged.now += 0.1
        judged.look()
    assert set(judged.looks.values()) == {2}


def test_a_snapshot_of_one_target_gets_its_verdict_alone() -> None:
    judged = Judged(3)
    findings, results = judged.judge.judge(replace(judged.snapshot, targets=judged.snapshot.targets[2:]))
    assert [finding.target for finding in findings] == ["t2"]
    assert [result.target for result in results] == ["t2"]
