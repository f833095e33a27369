"""States Forge does not tell of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from forgediag.check import Problem
from forgediag.model import Checkpoint, Gap, Job, Listing, Progress, Severity, Sysinfo, Tally, Target
from forgediag.testing.facts import FORGE, GIB, OPTIONS, TARGET, options, problems
from forgediag_checks.state import STUCK, forge_stuck, job_hangs, model_in_effect

ERROR = f"'NoneType' {STUCK}"


def job(outcome: Any = "failed", **more: Any) -> Job:
    return Job("forge", 0.0, 1.0, outcome, **more)


def target(*jobs: Job, noted: tuple[str, ...] | None = None) -> Target:
    sysinfo = FORGE.sysinfo if noted is None else Sysinfo(None, None, None, None, None, {}, noted)
    return replace(TARGET, jobs=jobs, forge=replace(FORGE, sysinfo=sysinfo))


def test_stuck_is_certain_when_the_last_generation_said_so() -> None:
    (problem,) = problems(forge_stuck, target(job("done"), job(error=f"AttributeError: {ERROR}")))
    assert problem.severity is None
    assert problem.message.startswith("Forge is stuck")


def test_stuck_is_certain_when_forge_noted_it_and_the_last_generation_failed() -> None:
    (problem,) = problems(forge_stuck, target(job(), noted=(ERROR, "x")))
    assert problem.severity is None


def test_what_forge_noted_before_anything_was_seen_is_a_warning() -> None:
    (problem,) = problems(forge_stuck, target(noted=(ERROR,)))
    assert problem.severity is Severity.WARNING
    assert problems(forge_stuck, target(noted=("something newer", ERROR))) == []
    assert problems(forge_stuck, target(job("done"), noted=(ERROR,))) == []


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ((job(), job()), "2 generations ended without a step, one after the other"),
        ((job(resident_start=6 * GIB, resident_end=GIB),), "1 generation ended without a step, and its memory fell"),
    ],
)
def test_signs_make_it_suspected_and_never_claimed(jobs: tuple[Job, ...], words: str) -> None:
    (problem,) = problems(forge_stuck, target(*jobs))
    assert words in problem.message
    assert "suspected, not known" in problem.message
    assert problem.evidence["certain"] is False
    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize(
    "jobs",
    [(), (job(),), (job("done"),), (job(), job("done")), (job(step_seconds=(1.0,)), job(step_seconds=(1.0,)))],
)
def test_one_failure_or_one_with_steps_is_no_sign(jobs: tuple[Job, ...]) -> None:
    assert problems(forge_stuck, target(*jobs)) == []
    assert problems(forge_stuck, replace(target(*jobs), forge=Gap("down"))) == []


LISTING = Listing(
    (
        Checkpoint("a.safetensors [aaaa]", "a", "/m/a.safetensors", "aa" * 32),
        Checkpoint("b.safetensors", "b", "/m/b.safetensors", "bb" * 32),
    ),
    (),
)


def in_effect(loaded: str | None, *jobs: Job, selected: str = "a.safetensors") -> list[Problem]:
    chosen = options(sd_model_checkpoint=selected, sd_checkpoint_hash=loaded)
    return problems(model_in_effect, replace(TARGET, jobs=jobs), chosen, LISTING)


def test_a_generation_with_another_model_than_selected_is_told() -> None:
    done = job("done", model="a.safetensors")
    (problem,) = in_effect("bb" * 32, done)
    assert "the last generation was made with b.safetensors" in problem.message
    (problem,) = in_effect("cc" * 32, done)
    assert "one that is not listed" in problem.message


@pytest.mark.parametrize(
    ("loaded", "jobs"),
    [
        ("aa" * 32, (job("done", model="a.safetensors"),)),
        ("bb" * 32, ()),
        ("bb" * 32, (job("failed", model="a.safetensors"),)),
        ("bb" * 32, (job("done", model="b.safetensors"),)),
        (None, (job("done", model="a.safetensors"),)),
    ],
)
def test_a_selection_that_was_not_used_yet_is_no_fault(loaded: str | None, jobs: tuple[Job, ...]) -> None:
    assert in_effect(loaded, *jobs) == []


def test_without_a_selection_there_is_nothing_to_compare() -> None:
    assert in_effect("bb" * 32, job("done"), selected="") == []
    assert OPTIONS.loaded_sha256 is None


RUNNING = Progress("txt2img", 1, 0, "20260101120000", 3, 20, 0.1, interrupted=False)
LOADING = replace(RUNNING, job_count=-1, step=0, steps=0)


@pytest.mark.parametrize(
    ("progress", "tally", "words"),
    [
        (RUNNING, Tally(waited=61.0, usual_wait=10.0), "step 3 of 20"),
        (RUNNING, Tally(waited=300.0, usual_wait=50.0), "the longest it usually takes is 50 s"),
        (LOADING, Tally(waited=601.0), "(loading)"),
    ],
)
def test_a_job_that_stands_still_for_long_is_told(progress: Progress, tally: Tally, words: str) -> None:
    (problem,) = problems(job_hangs, progress, tally)
    assert words in problem.message


@pytest.mark.parametrize(
    ("progress", "tally"),
    [
        (RUNNING, Tally(waited=59.0, usual_wait=1.0)),
        (LOADING, Tally(waited=599.0)),
        (FORGE.progress, Tally(waited=9999.0)),
        (RUNNING, Tally()),
    ],
)
def test_a_job_within_its_own_pace_is_fine(progress: Progress, tally: Tally) -> None:
    assert problems(job_hangs, progress, tally) == []
