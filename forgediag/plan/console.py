"""The speed that jobs or a console log show for a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forgediag.forge import dtypes
from forgediag.forge.families import UNET
from forgediag.plan.peaks import forward_images
from forgediag.plan.predict import plan, speed_of
from forgediag.plan.request import Request
from forgediag.plan.speed import Observation, Speed, calibrated, from_console

Seen = Callable[[tuple[int, int], int, int], Sequence[Observation]]
"""Gives observations for a size, the images in one forward pass, and passes a step."""


def speed_seen(request: Request, seen: Seen) -> Speed | None:
    """The speed that observations show for a request. None without any, or without a model.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    made = plan(request)
    base, unet = made.components.detection.base, made.components.parts.get(UNET)
    if base is None or unet is None:
        return None
    sampled = next(step for step in made.steps if step.phase == "sample")
    images, passes = forward_images(base, request, sampled.size, dtypes.SIZE[unet.computation], sampled.free)
    found = seen(sampled.size, images, passes)
    return calibrated(speed_of(request, base), found, sampled.size) if found else None


def console_speed(request: Request, text: str) -> Speed | None:
    """The speed of jobs like this one, from a log of them. None without a finished progress bar, or without a model.

    The log does not tell the size: the jobs in it are taken to be of the request's size and batch.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    return speed_seen(request, lambda size, images, passes: from_console(text, size, images, passes))
