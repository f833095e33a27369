"""Jobs from progress answers: how each one ended, even those that no poll saw."""

from __future__ import annotations

from forgediag.model import Gap, Progress
from forgediag.profile.progress import Ended, JobTracker


def idle(timestamp: str = "0", job_no: int = 0, *, interrupted: bool = False) -> Progress:
    return Progress("", 0, job_no, timestamp, 0, 0, 0.0, interrupted)


def running(timestamp: str, *, job_count: int = 1, job_no: int = 0, step: int = 0) -> Progress:
    return Progress("scripts_txt2img", job_count, job_no, timestamp, step, 20, 0.01, interrupted=False)


def outcomes(*answers: Progress | Gap, ooms: tuple[int, ...] = ()) -> list[Ended]:
    tracker = JobTracker()
    counts = ooms or (0,) * len(answers)
    return [
        job
        for at, (answer, oom) in enumerate(zip(answers, counts, strict=True))
        for job in tracker.feed(answer, at, oom)
    ]


def test_a_job_that_finished_its_iteration_is_done() -> None:
    assert outcomes(idle(), running("1", job_count=-1), running("1", step=3), idle("1", 1)) == [Ended("done", 2)]


def test_a_job_whose_iteration_never_ended_has_failed() -> None:
    assert outcomes(idle(), running("1", job_count=-1), idle("1", 0)) == [Ended("failed", 1)]


def test_the_second_of_two_iterations_can_fail() -> None:
    assert outcomes(idle(), running("1", job_count=2), idle("1", 1)) == [Ended("failed", 1)]


def test_an_interrupted_job_is_interrupted_though_its_iteration_ended() -> None:
    assert outcomes(idle(), running("1"), idle("1", 1, interrupted=True)) == [Ended("interrupted", 1)]


def test_a_job_during_which_torch_ran_out_of_memory_is_oom() -> None:
    assert outcomes(idle(), running("1"), idle("1", 0), ooms=(0, 0, 1)) == [Ended("oom", 1)]


def test_a_job_followed_at_once_by_another_ended_somehow() -> None:
    assert outcomes(idle(), running("1"), running("2"), idle("2", 1)) == [Ended("unknown", 1), Ended("done", 1)]


def test_a_job_between_two_looks_is_counted_without_seconds() -> None:
    assert outcomes(idle("1", 1), idle("2", 1), idle("2", 1)) == [Ended("done", None)]


def test_what_was_there_before_we_looked_is_not_counted() -> None:
    assert outcomes(idle("1", 1)) == []


def test_a_job_under_way_at_the_first_look_is_counted() -> None:
    assert outcomes(running("1"), idle("1", 1)) == [Ended("done", 1)]


def test_a_forge_that_dies_takes_its_job_with_it() -> None:
    dead = Gap("gone", "refused")
    assert outcomes(running("1"), dead, dead, idle("0")) == [Ended("failed", 1)]


def test_a_forge_that_hangs_may_still_finish() -> None:
    assert outcomes(running("1"), Gap("slow", "timeout"), idle("1", 1)) == [Ended("done", 2)]


def test_a_tracker_knows_whether_a_job_runs() -> None:
    tracker = JobTracker()
    tracker.feed(running("1"), 0)
    assert tracker.running
    tracker.feed(idle("1", 1), 1)
    assert not tracker.running
