"""What finished generations say of a machine's speed, so roughly that only news changes it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import log

from forgediag.forge.selection import base_name
from forgediag.model import MB, Job
from forgediag.profile.median import median

ENOUGH = 3
"""Jobs of one kind from which on another one of the same pace teaches nothing new: they count as measured."""

LEARNED = 0.02
"""Share by which a median must move to be news."""

SWAP_STEP = 64 * MB
"""Bytes swapped in one job and the next that are the same kind."""

LOOKED_BACK = 60
"""Generations that are learned from: what a card did last week need not be what it does now."""


def evidence(model: str, jobs: Sequence[Job]) -> Hashable:
    """What finished jobs say of this model, so roughly that it stays equal while nothing new is learned.

    By pixels, settings and swapping: whether there are enough jobs, and their medians in steps of 2 %.
    """
    groups: dict[Hashable, list[Job]] = {}
    for job in newest(model, jobs):
        if len(job.step_seconds) >= 2:
            swapped = max((phase.swapped or 0 for phase in job.phases), default=0)
            groups.setdefault((job.pixels, job.settings, swapped // SWAP_STEP), []).append(job)
    return frozenset((key, min(len(alike), ENOUGH), _pace(alike)) for key, alike in groups.items())


def _pace(jobs: Sequence[Job]) -> tuple[int, ...]:
    """Median seconds of a step and of the load and the decode, as logarithms."""
    by_name = [{phase.name: phase.seconds for phase in job.phases} for job in jobs]
    times = [median(median(job.step_seconds[1:]) for job in jobs)]
    times += [median(phases.get(name, 0.0) for phases in by_name) for name in ("unet_load", "vae_decode")]
    return tuple(round(log(max(seconds, 0.001)) / log(1 + LEARNED)) for seconds in times)


def newest(model: str, jobs: Sequence[Job]) -> list[Job]:
    """The last finished generations with this model, the newest first."""
    own = [job for job in jobs if job.outcome == "done" and job.model is not None and _name(job.model) == _name(model)]
    return sorted(own, key=lambda job: -job.started)[:LOOKED_BACK]


def _name(path: str) -> str:
    """The bare name: titles end in a hash, names may lack their ending."""
    name = base_name(path).split(" [")[0]
    return name.rsplit(".", 1)[0].lower()
