"""What a check is, and running them all: facts in, findings out, and the one broad `except`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from forgediag.model import (
    CheckResult,
    Files,
    Finding,
    Flags,
    Gap,
    Gpu,
    Host,
    Install,
    Known,
    Listing,
    Nvml,
    Options,
    Process,
    Progress,
    Severity,
    Snapshot,
    Sysinfo,
    Tally,
    Target,
    TorchMemory,
    Verification,
)

_OF_FORGE = (Options, TorchMemory, Progress, Listing, Flags, Sysinfo)

FACTS = (Target, Tally, *_OF_FORGE, Process, Install, Files, Verification, Gpu, Nvml, Host)
"""The types a check may ask for. `Target` and `Tally` are always known; the others can be gaps."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check found. `severity` and `fix` override the check's own."""

    subject: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    severity: Severity | None = None
    fix: tuple[str, ...] | None = None


Judge = Callable[..., Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Check:
    """A judgement on prepared facts. `needs` are the fact types its function is annotated with, in order."""

    id: str
    title: str
    why: str
    severity: Severity
    fix: tuple[str, ...]
    judge: Judge
    needs: tuple[type, ...]


def check(
    id: str,  # noqa: A002 - the word the JSON uses
    *,
    title: str,
    why: str,
    severity: Severity,
    fix: Sequence[str] = (),
) -> Callable[[Judge], Check]:
    """Turn a generator of `Problem`s over annotated facts into a `Check`.

    Raises:
        TypeError: a parameter is not annotated with one of `FACTS`.
    """

    def declare(judge: Judge) -> Check:
        hints = get_type_hints(judge)
        hints.pop("return", None)
        needs = tuple(hints.values())
        if unknown := [need for need in needs if need not in FACTS]:
            raise TypeError(
                f"check {id}: no such fact {unknown[0]!r}; a check may ask for {[f.__name__ for f in FACTS]}"
            )
        return Check(id, title, why, severity, tuple(fix), judge, needs)

    return declare


def run_checks(
    checks: Sequence[Check], snapshot: Snapshot, clock: Callable[[], float]
) -> tuple[tuple[Finding, ...], tuple[CheckResult, ...]]:
    """Every check on every target: findings worst first, and how each check ended.

    A check one of whose facts is a gap is UNKNOWN; each gap is told once for a target, and not at all when it is
    expected. A check that raises is UNKNOWN too, with the exception in its message.
    """
    findings: list[Finding] = []
    results: list[CheckResult] = []
    for target in snapshot.targets:
        facts = _facts(snapshot, target)
        missing: dict[Gap, list[str]] = {}
        for item in checks:
            started = clock()
            gaps = [fact for need in item.needs if isinstance(fact := facts[need], Gap)]
            if gaps:
                missing.setdefault(gaps[0], []).append(item.id)
                found, status = [], Severity.UNKNOWN
            else:
                found = _judge(item, target.name, [facts[need] for need in item.needs])
                status = max((finding.severity for finding in found), default=Severity.OK)
            findings += found
            results.append(CheckResult(item.id, target.name, status, clock() - started))
        findings += _untold(target.name, missing)
    return tuple(sorted(findings, key=lambda finding: -finding.severity)), tuple(results)


def _facts(snapshot: Snapshot, target: Target) -> Mapping[type, Known[object]]:
    forge = target.forge
    answers: dict[type, Known[object]]
    if isinstance(forge, Gap):
        answers = dict.fromkeys(_OF_FORGE, forge)
    else:
        answers = {
            Options: forge.options,
            TorchMemory: forge.memory,
            Progress: forge.progress,
            Listing: forge.listing,
            Flags: forge.flags,
            Sysinfo: forge.sysinfo,
        }
    return answers | {
        Target: target,
        Process: target.process,
        Install: target.install,
        Files: target.files,
        Verification: target.verification,
        Gpu: target.gpu,
        Nvml: snapshot.nvml,
        Host: snapshot.host,
        Tally: snapshot.tallies.get(target.name, Tally()),
    }


def _judge(item: Check, target: str, facts: list[Known[object]]) -> list[Finding]:
    try:
        problems = list(item.judge(*facts))
    except Exception as error:
        crash = Problem(
            "forgediag",
            f"the check itself failed: {type(error).__name__}: {error}",
            severity=Severity.UNKNOWN,
        )
        problems = [crash]
    return [
        Finding(
            check=item.id,
            severity=item.severity if problem.severity is None else problem.severity,
            target=target,
            subject=problem.subject,
            message=problem.message,
            evidence=problem.evidence,
            fix=item.fix if problem.fix is None else problem.fix,
        )
        for problem in problems
    ]


def _untold(target: str, missing: Mapping[Gap, list[str]]) -> list[Finding]:
    return [
        Finding(
            check="unknown",
            severity=Severity.UNKNOWN,
            target=target,
            subject=gap.kind,
            message=f"{gap.reason}; not checked: {', '.join(names)}",
            evidence={"checks": names},
        )
        for gap, names in missing.items()
        if not gap.expected
    ]
