"""The speed of this machine, as finished generations teach it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import isqrt, log
from statistics import median

from forgediag.forge.memory import Swap
from forgediag.forge.selection import base_name
from forgediag.model import MB, Job
from forgediag.plan import Observation, Request, Speed, speed_seen

SAME_SIZE = 0.02
"""Share by which the pixels of two jobs of one size may differ: they are inferred from what Forge prints to 0.01 MB."""

ENOUGH = 3
"""Jobs of one kind from which on another one of the same pace teaches nothing new: they count as measured."""

LEARNED = 0.02
"""Share by which a median must move to be news."""

SWAP_STEP = 64 * MB
"""Bytes swapped in one job and the next that are the same kind."""

LOOKED_BACK = 60
"""Generations that are learned from: what a card did last week need not be what it does now."""


def learned_speed(request: Request, model: str, jobs: Sequence[Job]) -> Speed | None:
    """The speed that finished jobs of this model show. None where there are none.

    Medians all through: one job that took ten times as long moves nothing once there are some.

    Args:
        request: what is to be planned.
        model: the checkpoint's name or path.
        jobs: finished generations, in any order.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    newest = _newest(model, jobs)
    return speed_seen(request, lambda size, images, passes: _observations(newest, size, images, passes))


def evidence(model: str, jobs: Sequence[Job]) -> Hashable:
    """What finished jobs say of this model, so roughly that it stays equal while nothing new is learned.

    By pixels, settings and swapping: whether there are enough jobs, and their medians in steps of 2 %.
    """
    groups: dict[Hashable, list[Job]] = {}
    for job in _newest(model, jobs):
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


def _newest(model: str, jobs: Sequence[Job]) -> list[Job]:
    own = [job for job in jobs if job.outcome == "done" and job.model is not None and _name(job.model) == _name(model)]
    return sorted(own, key=lambda job: -job.started)[:LOOKED_BACK]


def _name(path: str) -> str:
    """The bare name: titles end in a hash, names may lack their ending."""
    name = base_name(path).split(" [")[0]
    return name.rsplit(".", 1)[0].lower()


def _observations(jobs: Iterable[Job], size: tuple[int, int], images: int, passes: int) -> tuple[Observation, ...]:
    return tuple(
        _observation(job, _size(job.pixels, size), images, passes) for job in jobs if len(job.step_seconds) >= 2
    )


def _size(pixels: int | None, wanted: tuple[int, int]) -> tuple[int, int]:
    """A size of as many pixels; the one wanted where they fit it, or are not known."""
    area = wanted[0] * wanted[1]
    if pixels is None or abs(pixels / area - 1) <= SAME_SIZE:
        return wanted
    return isqrt(pixels), isqrt(pixels)


def _observation(job: Job, size: tuple[int, int], images: int, passes: int) -> Observation:
    settings = dict(job.settings)
    phases = {phase.name: phase for phase in job.phases if phase.seen_in == "log"}
    load, decode = phases.get("unet_load"), phases.get("vae_decode")
    swapped = max((phase.swapped or 0 for phase in phases.values()), default=0)
    resting = decode is not None and not decode.freed and not decode.moved
    return Observation(
        size,
        images,
        step=median(job.step_seconds[1:]),
        swapped=swapped,
        passes=passes,
        swap=Swap(
            str(settings.get("forge_async_loading")) == "Async",
            str(settings.get("forge_pin_shared_memory")) == "Shared",
        ),
        loaded=load.moved or 0 if load is not None else 0,
        load_seconds=load.seconds if load is not None else 0,
        unloaded=decode.freed or 0 if decode is not None else 0,
        unload_seconds=decode.seconds if decode is not None and decode.freed else 0,
        decode=decode.seconds if decode is not None and resting else 0,
    )
