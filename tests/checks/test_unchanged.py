"""Silent corruption, other differences, and files that Forge does not list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Fault, Files, Severity, Troubled, Verdict, Verification
from forgediag.testing.facts import model_file, problems
from forgediag_checks.unchanged import model_file_listed, model_file_unchanged


def verification(*troubled: Troubled) -> Verification:
    return Verification("lock", {}, 0, 0, 1.0, None, troubled)


def test_silent_corruption_is_a_failure_with_both_hashes() -> None:
    (problem,) = problems(
        model_file_unchanged, verification(Troubled("/m/a.gguf", "corrupted", "its contents changed", "a", "b", 5.0))
    )
    assert problem.severity is Severity.FAILURE
    assert problem.subject == "a.gguf"
    assert problem.evidence == {
        "state": "corrupted",
        "compared_with": "lock",
        "expected": "a",
        "sha256": "b",
        "read_at": 5.0,
    }


@pytest.mark.parametrize(
    ("verdict", "severity"),
    [("changed", Severity.WARNING), ("missing", Severity.WARNING), ("unreadable", Severity.UNKNOWN)],
)
def test_other_differences_say_less(verdict: Verdict, severity: Severity) -> None:
    (problem,) = problems(model_file_unchanged, verification(Troubled("a", verdict, "so it is")))
    assert problem.severity is severity
    assert problem.fix


def test_a_leftover_says_whether_its_header_is_whole() -> None:
    left = replace(model_file(path="/m/x.safetensors.part"), unlisted="a download")
    cut = replace(left, fault=Fault("cut", "it is cut", ()))
    whole, broken = problems(model_file_listed, Files((left, cut, model_file())))
    assert whole.evidence["header"] == "its header is whole"
    assert broken.evidence["header"] == "it is cut"
