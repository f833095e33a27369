"""Generations that leave memory behind or get slower."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import MB, Gap, Job
from forgediag.testing.facts import TARGET
from forgediag.testing.jobs import job
from forgediag.testing.reports import gpu
from forgediag_checks.jobs import job_memory_growth, job_steps_slower, memory_manager_as_known


def jobs(*, leak: int = 0, steps: tuple[float, ...] = (0.25,) * 12) -> tuple[Job, ...]:
    return tuple(
        replace(job(float(number)), device_end=(8000 + leak * number) * MB, step_seconds=(step,) * 20)
        for number, step in enumerate(steps)
    )


def test_a_leak_is_told_with_its_size() -> None:
    (problem,) = job_memory_growth.judge(replace(TARGET, jobs=jobs(leak=50)))

    assert "each of the last 12 generations left some 50 MB of GPU memory more in use" in problem.message
    assert problem.evidence == {"bytes_per_job": 50 * MB, "jobs": 12}


def test_clean_generations_are_no_problem() -> None:
    target = replace(TARGET, jobs=jobs())

    assert list(job_memory_growth.judge(target)) == []
    assert list(job_steps_slower.judge(target)) == []


def test_slower_steps_are_told_against_what_they_were() -> None:
    target = replace(TARGET, jobs=jobs(steps=(0.25,) * 9 + (0.5,) * 3), gpu=Gap("not visible"))

    (problem,) = job_steps_slower.judge(target)

    assert "a step takes 0.50 s now and took 0.25 s before" in problem.message
    assert "full" not in problem.message


def test_a_full_card_is_named_as_the_likely_reason() -> None:
    card = replace(gpu(0), info=replace(gpu(0).info, total=9_500 * MB))
    target = replace(TARGET, jobs=jobs(steps=(0.25,) * 9 + (0.5,) * 3), gpu=card)

    (problem,) = job_steps_slower.judge(target)

    assert "the card was full" in problem.message


def test_a_memory_manager_of_other_rules_is_told() -> None:
    other = replace(job(1.0), departures=("KModel: does not fit by 1096 MB, but Forge put all of it on the card",))

    (problem,) = memory_manager_as_known.judge(replace(TARGET, jobs=(job(0.0), other)))

    assert "otherwise than expected: KModel: does not fit" in problem.message
    assert list(memory_manager_as_known.judge(replace(TARGET, jobs=(other, job(2.0))))) == []
    assert list(memory_manager_as_known.judge(TARGET)) == []
