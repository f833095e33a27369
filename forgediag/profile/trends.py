"""What finished generations show over time: memory that grows job after job, steps that got slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from forgediag.model import MB, Job
from forgediag.profile.median import median

LEAK_JOBS, LEAK_SIZE, LEAK_ORDER = 12, 20 * MB, 0.75
"""Generations one after another, bytes of growth each, and how strictly they must rise (Kendall's tau) for a leak.

Twelve values in random order rise that strictly three times in 100,000."""

SLOWER, SLOW_JOBS, SLOW_HISTORY = 1.3, 3, 5
"""How much slower a step must be, in how many last generations, against how many earlier ones."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory that grows job after job: bytes a job (the median of all slopes), over how many jobs."""

    memory: Literal["gpu", "ram"]
    each: float
    jobs: int


def growing(jobs: Sequence[Job]) -> tuple[Growth, ...]:
    """Leaks in the last jobs of one model with one setting, oldest first.

    A cache grows too, but stops: the later half must grow at least half as fast as the whole. What one job leaves more
    than another of a different size goes up and down, and does not rise job after job.
    """
    last = _alike(jobs)[-LEAK_JOBS:]
    ends: tuple[tuple[Literal["gpu", "ram"], Callable[[Job], int | None]], ...] = (
        ("gpu", lambda job: job.device_end),
        ("ram", lambda job: job.resident_end),
    )
    found: list[Growth] = []
    for memory, end in ends:
        values = [value for job in last if (value := end(job)) is not None]
        if len(values) < LEAK_JOBS:
            continue
        each = _slope(values)
        later = _slope(values[len(values) // 2 :])
        if each >= LEAK_SIZE and later >= each / 2 and _rising(values) >= LEAK_ORDER:
            found.append(Growth(memory, each, len(values)))
    return tuple(found)


def _alike(jobs: Sequence[Job]) -> list[Job]:
    """The last jobs with the newest one's model and settings, up to where another one came between."""
    alike: list[Job] = []
    for job in reversed(jobs):
        if (job.model, job.settings) != (jobs[-1].model, jobs[-1].settings):
            break
        alike.append(job)
    return alike[::-1]


def _slope(values: Sequence[int]) -> float:
    """The median of the slopes between all pairs (Theil and Sen)."""
    return median(
        (later - earlier) / (j - i)
        for i, earlier in enumerate(values)
        for j, later in enumerate(values[i + 1 :], start=i + 1)
    )


def _rising(values: Sequence[int]) -> float:
    """Kendall's tau against time: 1 for values that only rise."""
    pairs = [(later > earlier) - (later < earlier) for i, earlier in enumerate(values) for later in values[i + 1 :]]
    return sum(pairs) / len(pairs)


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Steps that take longer than they did: seconds now and before, and whether the card was full."""

    now: float
    before: float
    full: bool


def slower(jobs: Sequence[Job], total: int | None = None) -> Slowdown | None:
    """Whether the last jobs are slower than earlier ones of the same model, size and settings.

    Args:
        jobs: oldest first.
        total: the card's memory in bytes; a card that is full while it samples makes a driver under Windows move memory
            to the system's, which is several times slower.
    """
    timed = [job for job in jobs if job.outcome == "done" and len(job.step_seconds) >= 2]
    alike = [job for job in timed if _kind(job) == _kind(timed[-1])]
    if len(alike) < SLOW_JOBS + SLOW_HISTORY:
        return None
    steps = [median(job.step_seconds[1:]) for job in alike]
    before, now = median(steps[:-SLOW_JOBS]), steps[-SLOW_JOBS:]
    if min(now) < SLOWER * before:
        return None
    peaks = [phase.device_peak or 0 for phase in alike[-1].phases if phase.name == "sample"]
    return Slowdown(median(now), before, full=total is not None and max(peaks, default=0) >= 0.97 * total)


def _kind(job: Job) -> tuple[object, ...]:
    return job.model, job.settings, None if job.pixels is None else round(job.pixels / 65536)
