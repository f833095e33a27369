"""What each phase takes at its peak: activations, copies in flight, and what lies on the card beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forgediag.forge import activations, dtypes
from forgediag.forge.components import Component, Components
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE, Base, Part
from forgediag.forge.memory.estimates import unet_estimate
from forgediag.forge.memory.rules import Rules
from forgediag.forge.memory.run import Phase, Step
from forgediag.forge.text_encoders import encoders_of
from forgediag.model import MB
from forgediag.plan.request import Request


@dataclass(frozen=True, slots=True)
class Prepared:
    """The part of a plan no memory option changes: parts and rules. Share it between plans that differ in settings.

    `second` are the parts of the checkpoint that takes over within an image.
    """

    components: Components
    rules: Rules
    second: Components | None = None

    def at(self, step: Step) -> Components:
        """The parts a step computes with."""
        return self.second if step.succeeded and self.second else self.components


@dataclass(frozen=True, slots=True)
class Peak:
    """One phase of one image at its worst. Bytes.

    `needed` is what it takes beside the weights, `free` what was free then, `allocated` torch's peak. `bound` tells a
    number that is the most it can be (Async), and `tiled` a decode that Forge does in tiles.
    """

    phase: Phase
    image: int
    needed: float
    free: float
    allocated: float
    estimate: float
    bound: bool = False
    tiled: bool = False

    @property
    def fits(self) -> bool:
        """Whether the phase ends without running out of memory."""
        return self.free >= self.needed


def peak_of(request: Request, prepared: Prepared, base: Base, step: Step) -> Peak:
    """What one step takes at its worst."""
    made, batch = prepared.at(step), request.picture.batch
    base = made.detection.base or base
    free, bound, tiled = step.free, False, False
    if step.phase == "sample":
        needed = _sampling(request, made, base, step)
    elif step.phase == "text_encode":
        needed = activations.text(encoders_of(base), batch)
        if step.image == 1:
            needed += activations.FIRST_KERNELS
    else:
        element = dtypes.SIZE[made.parts[VAE].storage]
        images = activations.decode_images(batch, free, step.estimate)
        if step.phase == "vae_decode":
            needed, tiled = activations.decoding(step.size, images, element, free)
        else:
            needed = activations.encoding(step.size, images, element)
    if request.settings.method == "Async" and step.swapped:
        bound = True
        needed += _in_flight(made, step)
    if _part(step) in prepared.rules.on_cpu:
        needed = 0
    taken = step.taken + activations.BASE
    return Peak(step.phase, step.image, needed, free, taken + needed, step.estimate, bound, tiled)


def _part(step: Step) -> Part:
    """The part a phase computes with."""
    return TEXT_ENCODER if step.phase == "text_encode" else UNET if step.phase == "sample" else VAE


def _in_flight(made: Components, step: Step) -> float:
    part = made.parts[_part(step)]
    return activations.in_flight(step.swapped, _bytes_each(part), dtypes.SIZE[part.computation])


def _bytes_each(part: Component) -> float:
    """Bytes an element of the part takes, on average."""
    return max(0.25, part.stages.used.size / max(1, _elements(part)))


def _elements(part: Component) -> float:
    return part.parameters if not part.storage.startswith(("gguf", "nf4", "fp4")) else part.stages.used.size / 0.55


def forward_images(base: Base, request: Request, size: tuple[int, int], element: int, free: float) -> tuple[int, int]:
    """(images in one forward pass, passes in a step): CFG runs both conditions at once if Forge thinks they fit.

    Forge dfdcbab, backend/sampling/sampling_function.py, calc_cond_uncond_batch.
    """
    picture = request.picture
    if picture.scale(base) == 1:
        return picture.batch, 1
    estimate = unet_estimate(*size, picture.batch, element, split_attention=picture.split_attention)
    return (2 * picture.batch, 1) if estimate < free else (picture.batch, 2)


def _sampling(request: Request, made: Components, base: Base, step: Step) -> float:
    unet = made.parts[UNET]
    element = dtypes.SIZE[unet.computation]
    images, _ = forward_images(base, request, step.size, element, step.free)
    largest = 0.0
    if step.swapped:
        largest = unet.stages.used.largest * element / max(0.5, _bytes_each(unet))
    return activations.sampling(base, step.size, images, element, largest)


def phase_peaks(peaks: Iterable[Peak]) -> Mapping[str, float]:
    """Torch's allocated peak of each phase in bytes, the worst image."""
    worst: dict[str, float] = {}
    for peak in peaks:
        worst[peak.phase] = max(worst.get(peak.phase, 0), peak.allocated)
    return worst


def device_peaks(request: Request, peaks: Iterable[Peak]) -> Mapping[str, float]:
    """The card's used memory at each phase's peak in bytes: context, other programs, and the allocator's cache.

    The cache kept beside what is allocated was 0.4 to 1.5 times the activations on a real card; the card's size
    bounds it.
    """
    elsewhere = (request.card.total - request.card.free_mb) * MB
    worst: dict[str, float] = {}
    for peak in peaks:
        used = elsewhere + peak.allocated + peak.needed * (0.6 if peak.phase == "vae_decode" else 1.0)
        worst[peak.phase] = min(request.card.total * MB, max(worst.get(peak.phase, 0), used))
    return worst
