"""How long a generation stands still, and how long it usually does."""

from __future__ import annotations

from forgediag.model import Gap, Progress
from forgediag.profile.pace import Pace


def at_step(step: int, job_count: int = 1) -> Progress:
    return Progress("txt2img", job_count, 0, "20260101120000", step, 20, 0.1, interrupted=False)


IDLE = Progress("", 0, 0, "20260101120000", 0, 0, 0.0, interrupted=False)


def test_a_job_that_moves_waits_for_nothing() -> None:
    pace = Pace()
    for second in range(5):
        pace.feed(at_step(second), float(second))
    assert pace.waited == 0.0


def test_the_usual_wait_is_the_longest_of_jobs_that_ended_well() -> None:
    pace = Pace()
    pace.feed(at_step(0, -1), 0.0)
    pace.feed(at_step(0, -1), 40.0)
    pace.feed(at_step(1), 41.0)
    pace.ended("done")
    pace.feed(IDLE, 42.0)
    assert pace.usual == 40.0
    assert pace.waited is None


def test_a_job_that_failed_tells_nothing_of_what_is_usual() -> None:
    pace = Pace()
    pace.feed(at_step(0), 0.0)
    pace.feed(at_step(0), 500.0)
    assert pace.waited == 500.0
    pace.ended("failed")
    assert pace.usual is None


def test_a_forge_that_does_not_answer_is_no_standstill() -> None:
    pace = Pace()
    pace.feed(at_step(0), 0.0)
    pace.feed(Gap("down"), 100.0)
    assert pace.waited is None
