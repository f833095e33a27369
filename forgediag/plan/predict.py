"""One plan: what Forge will load and print, what each phase takes at its peak, whether it fits, how long it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from forgediag.forge import dtypes
from forgediag.forge.components import Components, build
from forgediag.forge.extras import companions, preserved
from forgediag.forge.families import UNET, Base
from forgediag.forge.memory.rules import rules
from forgediag.forge.memory.run import Step, Successor, Workload, run
from forgediag.forge.memory.start import Room, start
from forgediag.forge.parts import exact, segmented
from forgediag.model import MB, LoadError
from forgediag.plan.peaks import Peak, Prepared, forward_images, peak_of
from forgediag.plan.request import Request, checked
from forgediag.plan.speed import Speed, estimated
from forgediag.plan.workload import workload_of

PLENTY = 1 << 50
"""Bytes of RAM where the host is not known: never less than the card has."""

PINNING = 1.3e9
"""Bytes a second of pinning, once for each weight: 1.2 to 1.5 GB/s observed. Weights stay pinned."""

HOST_BASE_MB = 3072.0
"""Forge's own resident memory with torch and CUDA loaded and no model. A guess, stated as one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen. `steps` are Forge's own view, its lines included; `peaks` and `seconds` are ours.

    Peaks and seconds go on to a second image even where one was asked for: it is what every further image takes.
    `doubts` name the steps where the allocator's overhead makes Forge unload something else than its lines say here.
    """

    request: Request
    components: Components
    steps: tuple[Step, ...]
    peaks: tuple[Peak, ...]
    seconds: tuple[float, ...]
    speed: Speed | None
    unet_swap: float
    pinned: float
    doubts: tuple[str, ...] = ()

    @property
    def error(self) -> LoadError | None:
        """What Forge raises for these files, if it refuses them."""
        return self.components.error

    @property
    def tight(self) -> Peak | None:
        """The first phase that does not fit."""
        return next((peak for peak in self.peaks if not peak.fits), None)

    @property
    def pins(self) -> bool:
        """Whether the host can pin what must be pinned, half its memory at most (what Windows shares with a card).

        Forge raises in the middle of the load where it cannot; seen with 11350 MB on a host of 16 GB.
        """
        ram = self.request.ram_mb
        return ram is None or self.pinned <= ram / 2 * MB

    @property
    def ram_peak(self) -> float:
        """Host memory at its worst, an upper bound in bytes: the files as read, and every part as built from them."""
        headers = (self.request.checkpoint, *self.request.modules)
        files = sum(tensor.nbytes for header in headers for tensor in header.tensors.values())
        return HOST_BASE_MB * MB + files + sum(part.require for part in self.components.parts.values())

    @property
    def fits(self) -> bool:
        """Whether nothing runs out of memory, neither the card nor the host for pinning."""
        return self.tight is None and self.pins

    @property
    def first_seconds(self) -> float | None:
        """Seconds of the first image."""
        return self.seconds[0] if self.seconds else None

    @property
    def next_seconds(self) -> float | None:
        """Seconds of every further image."""
        return self.seconds[-1] if self.seconds else None


def prepare(request: Request) -> Prepared:
    """Detect and size the parts, and find the rules.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    request = checked(request)
    device, moment, storage = request.card.device, request.moment, request.storage
    name = request.name or "this file"
    made = build(request.checkpoint, request.modules, device=device, moment=moment, storage=storage, name=name)
    other = request.second
    if other is None:
        return Prepared(made, rules(device, moment))
    second = build(other.checkpoint, other.modules, device=device, moment=moment, storage=storage)
    return Prepared(made, rules(device, moment), second)


def plan(request: Request, speed: Speed | None = None, prepared: Prepared | None = None) -> Plan:
    """What Forge will do with this request. Without a speed it is estimated from the card's name and bus.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    prepared = prepared or prepare(request)
    base = prepared.components.detection.base
    if base is None:
        return Plan(request, prepared.components, (), (), (), None, 0, 0)
    speed = speed or speed_of(request, base)
    steps = _run(request, prepared, base, lines=True)
    onward = replace(request, picture=replace(request.picture, images=max(2, request.picture.images)))
    real = simulated(onward, prepared)
    return replace(judge(request, prepared, base, speed, real, steps), doubts=_doubts(steps, real))


def _doubts(steps: Sequence[Step], real: Sequence[Step]) -> tuple[str, ...]:
    """Steps whose unloads hang on the allocator's overhead, which Forge's own arithmetic does not know."""
    return tuple(
        f"{step.phase} of image {step.image}: on a real card Forge will unload "
        f"{', '.join(there.unloads) or 'nothing'}, because torch's allocator takes more than the weights"
        for step, there in zip(steps, real, strict=False)
        if step.unloads != there.unloads
    )


def speed_of(request: Request, base: Base) -> Speed:
    """The speed estimated for a request's card."""
    card = request.card
    return estimated(base, card.name, card.capability, card.pcie_generation, card.pcie_width)


def judge(
    request: Request, prepared: Prepared, base: Base, speed: Speed, real: Sequence[Step], lines: Sequence[Step] = ()
) -> Plan:
    """A plan from loads already simulated: swap method and location change peaks and seconds, not the loads."""
    made = prepared.components
    swap = request.settings.swap
    peaks = tuple(peak_of(request, prepared, base, step) for step in real)
    seconds = _seconds(request, prepared, base, speed, real, peaks)
    swapped = max((step.swapped for step in real if step.phase == "sample"), default=0)
    pinned: dict[str, float] = {}
    for load in (load for step in real for load in step.loads):
        pinned[load.target] = max(pinned.get(load.target, 0), load.swap if swap.shared else 0)
    total = sum(pinned.values())
    return Plan(request, made, tuple(lines), peaks, seconds, speed, swapped, total)


def simulated(request: Request, prepared: Prepared) -> list[Step]:
    """The loads with what a real allocator takes, of a request whose family is known."""
    base = prepared.components.detection.base
    assert base is not None  # noqa: S101 - callers have told unknown families apart
    return _run(request, prepared, base, lines=False)


def _workload(request: Request, prepared: Prepared, base: Base) -> Workload:
    """What is generated, with the ControlNets and LoRAs beside it."""
    made = prepared.components
    work = workload_of(request.picture, base, inpaint=made.detection.family != base)
    if request.second and prepared.second and prepared.second.detection.base:
        work = replace(work, successor=Successor(request.second.role, prepared.second.parts, _ram(request)))
    unet = made.parts.get(UNET)
    if unet is None:
        return work
    kept = preserved(request.controlnets, request.online_loras, unet.storage, unet.computation)
    nets = companions(request.controlnets, request.card.device, request.moment)
    cloned = work.cloned_unet or bool(request.controlnets)
    return replace(work, companions=nets, hard=work.hard + kept, cloned_unet=cloned)


def _ram(request: Request) -> float:
    return PLENTY if request.ram_mb is None else request.ram_mb * MB


def _run(request: Request, prepared: Prepared, base: Base, *, lines: bool) -> list[Step]:
    """The loads, with Forge's exact arithmetic for its lines or with what a real allocator takes."""
    work = _workload(request, prepared, base)
    room = Room(int(request.card.free_mb * MB), _ram(request), request.settings.inference_memory_mb * MB)
    manager = start(
        prepared.rules,
        prepared.components.parts,
        room,
        charge=exact if lines else segmented,
        swap=request.settings.swap,
    )
    manager.bodies += work.companions
    return run(manager, prepared.components.parts, work).steps


def _seconds(
    request: Request, prepared: Prepared, base: Base, speed: Speed, steps: Sequence[Step], peaks: Iterable[Peak]
) -> tuple[float, ...]:
    """Seconds of each image, in order."""
    total: dict[int, float] = {}
    for step, peak in zip(steps, peaks, strict=True):
        total[step.image] = total.get(step.image, 0) + _step_seconds(
            request, prepared.at(step), base, speed, step, peak
        )
    return tuple(total[image] for image in sorted(total))


def _step_seconds(request: Request, made: Components, base: Base, speed: Speed, step: Step, peak: Peak) -> float:
    moving = sum(load.moved for load in step.loads) / speed.load + step.moved_out / speed.unload
    picture, swap = request.picture, request.settings.swap
    if swap.shared and step.image == 1:
        moving += sum(load.swap for load in step.loads) / PINNING
    if step.phase == "sample":
        element = dtypes.SIZE[made.parts[UNET].computation]
        images, passes = forward_images(base, request, step.size, element, step.free)
        return moving + picture.steps * speed.step(step.size, images, passes, step.swapped, swap)
    copied = step.swapped / (speed.pinned if swap.shared else speed.pageable)
    if step.phase == "text_encode":
        return moving + 0.1 + copied
    decode = speed.decoding(step.size, picture.batch, tiled=peak.tiled)
    return moving + copied + (decode if step.phase == "vae_decode" else decode * 0.6)
