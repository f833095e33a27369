"""Model files that would run code."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import Call, Fault, Files, Safety, Severity
from forgediag.testing.facts import CHECKPOINT, model_file, problems
from forgediag_checks.safety import model_file_safe

SYSTEM = Call("os", "system", "GLOBAL", 14, "archive/data.pkl")
EVIL = replace(model_file(), safety=Safety((SYSTEM, replace(SYSTEM, opcode="REDUCE", position=40))))
CUT = Fault("pickle-cut", "the file is cut", ("Again.",))


def test_a_selected_file_that_runs_code_is_a_failure_and_says_what_and_where() -> None:
    (problem,) = problems(model_file_safe, Files((EVIL,)))
    assert problem.severity is Severity.FAILURE
    assert problem.subject in CHECKPOINT
    assert problem.message.endswith("is not only a model: it calls or imports os.system")
    call = problem.evidence["calls"][0]
    assert call == {"target": "os.system", "opcode": "GLOBAL", "position": 14, "member": "archive/data.pkl"}


def test_one_that_nobody_selected_is_a_warning() -> None:
    (problem,) = problems(model_file_safe, Files((replace(EVIL, selected=False),)))
    assert problem.severity is Severity.WARNING


def test_many_calls_are_told_in_short() -> None:
    calls = tuple(
        Call("", "", "REDUCE", 1) if number == 0 else Call("a", str(number), "GLOBAL", 1) for number in range(5)
    )
    (problem,) = problems(model_file_safe, Files((replace(EVIL, safety=Safety(calls)),)))
    assert problem.message.endswith("imports something named while it is loaded, a.1, a.2 and 2 more")


def test_a_trick_alone_is_told() -> None:
    (problem,) = problems(model_file_safe, Files((replace(EVIL, safety=Safety(tricks=("it is a trick",))),)))
    assert problem.message.endswith("is not only a model: it is a trick")


def test_what_could_not_be_judged_is_unknown() -> None:
    (problem,) = problems(model_file_safe, Files((replace(EVIL, safety=Safety(unread="it is too long")),)))
    assert problem.severity is Severity.UNKNOWN
    assert problem.message.endswith("is not known: it is too long")


def test_safe_files_other_formats_and_broken_ones_are_no_problem() -> None:
    broken = replace(model_file(fault=CUT), safety=Safety(unread="EOFError"))
    assert problems(model_file_safe, Files((model_file(), replace(EVIL, safety=Safety()), broken))) == []
