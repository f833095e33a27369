"""System memory against the selected files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Fault, Files, Host, Severity
from forgediag.testing.facts import GIB, HOST, PROCESS, model_file, problems
from forgediag_checks.host import host_ram


@pytest.mark.parametrize(
    ("host", "severity", "words"),
    [
        (Host(6 * GIB, 4 * GIB, 1 * GIB, 1 * GIB), None, "will die while it loads"),
        (Host(32 * GIB, 1 * GIB, 0, 0), Severity.WARNING, "the next load can kill it"),
        (Host(8 * GIB, 6 * GIB, 32 * GIB, 32 * GIB), Severity.WARNING, "page file, which is slow"),
    ],
)
def test_too_little_memory_is_told_with_its_consequence(host: Host, severity: Severity | None, words: str) -> None:
    (problem,) = problems(host_ram, host)
    assert problem.severity is severity
    assert words in problem.message
    assert problem.evidence["selected_bytes"] == 6_938_078_334 + 334_641_164


def test_what_forge_holds_already_counts_as_room() -> None:
    tight = replace(HOST, ram_available=1 * GIB, swap_free=0)
    assert problems(host_ram, tight, replace(PROCESS, resident=8 * GIB)) == []


def test_nothing_selected_needs_no_memory() -> None:
    assert problems(host_ram, Host(1, 1, 0, 0), Files(())) == []


def test_a_file_that_cannot_be_loaded_needs_no_memory() -> None:
    broken = Files((model_file(fault=Fault("html-page", "web page", ())),))
    assert problems(host_ram, Host(1, 1, 0, 0), broken) == []
