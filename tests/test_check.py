"""Running checks: only on what is known, each gap told once, a crash is UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forgediag.check import Check, Problem, check, run_checks
from forgediag.model import Gap, Host, Known, Nvml, Options, Severity, Snapshot, Target

MISSING = Gap("not there", "missing")


def target(forge: Gap = MISSING) -> Target:
    return Target("forge", forge, MISSING, MISSING, MISSING, MISSING)


def snapshot(host: Known[Host] = MISSING, nvml: Known[Nvml] = MISSING) -> Snapshot:
    return Snapshot(0.0, (target(),), nvml, host)


HOST = Host(100, 50, 0, 0)


@check("small-ram", title="RAM", why="because", severity=Severity.FAILURE, fix=["buy some"])
def small_ram(host: Host) -> Iterator[Problem]:
    if host.ram_total < 1000:
        yield Problem("ram", "small", {"total": host.ram_total})
        yield Problem("ram", "odd", severity=Severity.WARNING, fix=("look",))


@check("wants-nvml", title="n", why="w", severity=Severity.WARNING)
def wants_nvml(nvml: Nvml, options: Options) -> Iterator[Problem]:
    yield Problem(nvml.driver, str(options))


@check("crashes", title="c", why="w", severity=Severity.WARNING)
def crashes(target: Target) -> Iterator[Problem]:
    raise ZeroDivisionError(target.name)


def test_problems_become_findings_worst_first_with_the_checks_fix() -> None:
    findings, results = run_checks([small_ram], snapshot(HOST), iter(range(10)).__next__)
    assert [(f.severity, f.message, f.fix) for f in findings] == [
        (Severity.FAILURE, "small", ("buy some",)),
        (Severity.WARNING, "odd", ("look",)),
    ]
    assert findings[0].evidence == {"total": 100}
    assert results[0].status is Severity.FAILURE
    assert results[0].seconds == 1


def test_a_check_without_problems_is_ok() -> None:
    findings, results = run_checks([small_ram], snapshot(Host(10**6, 1, 1, 1)), lambda: 0.0)
    assert findings == ()
    assert results[0].status is Severity.OK


def test_each_gap_is_told_once_with_the_checks_it_stopped() -> None:
    again = Check("again", "a", "w", Severity.WARNING, (), small_ram.judge, small_ram.needs)
    findings, results = run_checks([small_ram, again], snapshot(), lambda: 0.0)
    assert len(findings) == 1
    assert findings[0].severity is Severity.UNKNOWN
    assert findings[0].message == "not there; not checked: small-ram, again"
    assert [result.status for result in results] == [Severity.UNKNOWN, Severity.UNKNOWN]


def test_an_expected_gap_is_no_finding_but_the_check_is_unknown() -> None:
    gap = Gap("no card", "missing", expected=True)
    findings, results = run_checks([wants_nvml], snapshot(nvml=gap), lambda: 0.0)
    assert findings == ()
    assert results[0].status is Severity.UNKNOWN


def test_a_check_that_crashes_is_unknown_and_says_so() -> None:
    findings, _ = run_checks([crashes], snapshot(), lambda: 0.0)
    assert findings[0].severity is Severity.UNKNOWN
    assert "ZeroDivisionError: forge" in findings[0].message


def test_a_check_can_only_ask_for_facts() -> None:
    with pytest.raises(TypeError, match="no such fact <class 'int'>; a check may ask for"):

        @check("bad", title="b", why="w", severity=Severity.OK)
        def bad(number: int) -> Iterator[Problem]:
            yield Problem("", str(number))
