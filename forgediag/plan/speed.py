"""Seconds: from jobs seen on this machine, from a console log, or else estimated from the card's name and bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from forgediag.forge.cards import bus_speed, tensor_speed
from forgediag.forge.families import Base
from forgediag.forge.log import BarMoved, Loaded, LogReader
from forgediag.forge.memory.swap import Swap
from forgediag.model import MB

Confidence = Literal["measured", "calibrated", "estimated"]

_FLOPS: Mapping[Base, float] = {
    "sd15": 3.2e12, "sd2": 3.2e12, "sdxl": 6.0e12, "sdxl-refiner": 5.5e12, "sd3": 14e12, "sd3.5-medium": 18e12,
    "sd3.5-large": 55e12, "flux-dev": 60e12, "flux-schnell": 60e12, "chroma": 60e12,
}  # fmt: skip
"""Floating point operations of one forward pass of one image of a megapixel, about."""

_FLOOR: Mapping[Base, float] = {"sd15": 0.035, "sd2": 0.035, "sdxl": 0.053, "sdxl-refiner": 0.055}
"""Seconds a step takes however small the image: launching the kernels. Observed with a fast CPU."""

_ASYNC: Mapping[Base, float] = dict.fromkeys(_FLOOR, 0.07)
"""Seconds Async adds to a step for its events, else 0.02. Observed: SDXL 0.057 to 0.129, Flux 0.204 to 0.227 s."""

_EFFICIENCY = 0.45
"""Share of a card's data sheet that diffusion reaches."""


def work(base: Base, size: tuple[int, int], images: int) -> float:
    """Megapixel-images one step computes, with attention's growth: 1 is one pass of one image at 1024x1024."""
    area = size[0] * size[1] / MB
    if base in _FLOOR:
        return area * (1 + 0.12 * area) / 1.12 * images
    tokens = area * 4096 + 256
    return tokens * (1 + tokens / 100_000) / (4352 * 1.04352) * images


@dataclass(frozen=True, slots=True)
class Observation:
    """What one job showed: seconds of a step, and of moving and decoding where known. Bytes.

    `images` are those in one forward pass (two per image above CFG 1), `passes` how often the swapped weights cross
    the bus in a step.
    """

    size: tuple[int, int]
    images: int
    step: float
    swapped: float = 0
    passes: int = 1
    swap: Swap = Swap()  # noqa: RUF009 - frozen
    loaded: float = 0
    load_seconds: float = 0
    unloaded: float = 0
    unload_seconds: float = 0
    decode: float = 0


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds and bytes a second of one model on one machine. `unit` is a step's seconds per unit of `work`."""

    base: Base
    unit: float
    floor: float
    pinned: float
    pageable: float
    load: float
    unload: float
    decode: float
    confidence: Confidence = "estimated"
    jobs: int = 0

    def step(self, size: tuple[int, int], images: int, passes: int, swapped: float, swap: Swap) -> float:
        """Seconds of one sampling step. Async overlaps pinned copies with computing; pageable ones wait."""
        compute = max(self.floor, self.unit * work(self.base, size, images)) * passes
        copy = passes * swapped / (self.pinned if swap.shared else self.pageable)
        if swap.asynchronous and swap.shared:
            return max(compute, copy) + _ASYNC.get(self.base, 0.02) * passes
        return compute + copy

    def decoding(self, size: tuple[int, int], batch: int, *, tiled: bool) -> float:
        """Seconds of a VAE decode. Three tiled passes overlap, which costs about four times as much."""
        return self.decode * size[0] * size[1] / MB * batch * (4 if tiled else 1)


def estimated(
    base: Base, name: str, capability: tuple[int, int], generation: int | None = None, width: int | None = None
) -> Speed:
    """A speed from the card's name, PCIe generation and width, with nothing measured."""
    flops = tensor_speed(name, capability) * _EFFICIENCY
    pinned, pageable = bus_speed(generation, width)
    return Speed(
        base,
        unit=_FLOPS[base] / flops,
        floor=_FLOOR.get(base, 0.09),
        pinned=pinned,
        pageable=pageable,
        load=0.85 * pageable,
        unload=0.4 * pageable,
        decode=max(0.1, 10e12 / flops),
    )


def calibrated(prior: Speed, seen: Sequence[Observation], size: tuple[int, int] | None = None) -> Speed:
    """The prior with everything replaced that the observations tell.

    Three or more jobs, of the size asked for if one is given, count as measured, fewer as calibrated.
    """
    if not seen:
        return prior
    same = [o for o in seen if size is None or o.size == size]
    speed = _computing(prior, seen)
    copies: dict[bool, list[float]] = {True: [], False: []}
    for o in seen:
        rest = o.step - speed.step(o.size, o.images, o.passes, 0, Swap())
        if o.swapped and rest > 0 and not o.swap.asynchronous:
            copies[o.swap.shared].append(o.passes * o.swapped / rest)
    loads = [o.loaded / o.load_seconds for o in seen if o.load_seconds > 0 and o.loaded > 256 * MB]
    unloads = [o.unloaded / o.unload_seconds for o in seen if o.unload_seconds > 0 and o.unloaded > 256 * MB]
    decodes = [o.decode / (o.size[0] * o.size[1] / MB) for o in seen if o.decode > 0]
    return replace(
        speed,
        pinned=_middle(copies[True], speed.pinned),
        pageable=_middle(copies[False], speed.pageable),
        load=_middle(loads, speed.load),
        unload=_middle(unloads, speed.unload),
        decode=_middle(decodes, speed.decode),
        confidence="measured" if len(same) >= 3 else "calibrated",
        jobs=len(seen),
    )


def _computing(prior: Speed, seen: Sequence[Observation]) -> Speed:
    """Unit and floor from the jobs without swap, or from what the prior's copies leave of the others.

    A step near the floor tells how long launching takes and only bounds what computing does.
    """
    plain = [o for o in seen if not o.swapped]
    steps = [(o.step / o.passes, o) for o in plain] or [(_without_copies(prior, o), o) for o in seen]
    launched = [step for step, _ in steps if step < 1.5 * prior.floor]
    units = [step / work(prior.base, o.size, o.images) for step, o in steps if step >= 1.5 * prior.floor]
    if units:
        return replace(prior, unit=median(units), floor=min(prior.floor, *(step for step, _ in steps)))
    bound = min(step / work(prior.base, o.size, o.images) for step, o in steps)
    return replace(prior, unit=min(prior.unit, bound), floor=median(launched))


def _without_copies(prior: Speed, seen: Observation) -> float:
    rate = prior.pinned if seen.swap.shared else prior.pageable
    return max(0.1 * seen.step / seen.passes, seen.step / seen.passes - seen.swapped / rate)


def _middle(values: Sequence[float], default: float) -> float:
    return median(values) if values else default


def from_console(text: str, size: tuple[int, int], images: int, passes: int = 1) -> tuple[Observation, ...]:
    """Observations from a Forge console log: finished progress bars, with the UNet's swap printed before them."""
    found: list[Observation] = []
    swapped, swap = 0.0, Swap()
    for seen in LogReader().feed(text + "\n", 0.0):
        event = seen.event
        if isinstance(event, Loaded) and event.target == "KModel":
            swapped, swap = event.swapped * MB, Swap(event.method == "asynchronous", event.location == "Shared")
        elif isinstance(event, BarMoved) and event.step == event.steps and event.step_seconds:
            found.append(Observation(size, images, event.step_seconds, swapped, passes, swap))
    return tuple(found)
