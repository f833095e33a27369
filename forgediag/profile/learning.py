"""The speed of this machine, as finished generations teach it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt

from forgediag.forge.memory.swap import Swap
from forgediag.model import Job
from forgediag.plan.console import speed_seen
from forgediag.plan.request import Request
from forgediag.plan.speed import Observation, Speed
from forgediag.profile.evidence import newest
from forgediag.profile.median import median

SAME_SIZE = 0.02
"""Share by which the pixels of two jobs of one size may differ: they are inferred from what Forge prints to 0.01 MB."""


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
    recent = newest(model, jobs)
    return speed_seen(request, lambda size, images, passes: _observations(recent, size, images, passes))


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
