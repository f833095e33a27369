"""A generation as a sequence of loads: text encoding, sampling, decoding, image after image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from forgediag.forge import dtypes
from forgediag.forge.components import Component
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE, Part
from forgediag.forge.memory.estimates import decode_estimate, encode_estimate, unet_estimate
from forgediag.forge.memory.manager import Body, Entry, Load, Manager

Phase = Literal["text_encode", "vae_encode", "sample", "vae_decode"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is generated. Pixels; `passes` are the sizes sampled one after the other (hires fix has two).

    `prompts` is how many prompts are encoded for one image (two with a negative prompt, one at CFG 1; hires fix has
    its own ones as well); `cached_prompt` leaves even the first image's out. `img2img` encodes the picture before the
    prompts, `late_encode` after them, and an `inpaint` checkpoint encodes what it may not change. `hard` bytes are
    preserved while sampling (ControlLoRA, online LoRAs), `companions` are loaded with the UNet (ControlNets).
    `pixel_hires` decodes and encodes between the passes (an upscaler that is not a latent one). The order is that of
    the loads traced in a real Forge dfdcbab.
    """

    passes: tuple[tuple[int, int], ...] = ((1024, 1024),)
    batch: int = 1
    images: int = 1
    prompts: int = 2
    cached_prompt: bool = False
    new_prompt: bool = False
    img2img: bool = False
    inpaint: bool = False
    late_encode: bool = False
    cloned_unet: bool = False
    pixel_hires: bool = False
    hard: float = 0
    split_attention: bool = False
    companions: tuple[Body, ...] = ()

    @property
    def clones(self) -> bool:
        """Whether every image has a UNet patcher of its own: an extension changes it, or a ControlNet hangs on it."""
        return self.cloned_unet or bool(self.companions)


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of one image: the lines printed, the loads, and what lay on the card when it computed. Bytes."""

    phase: Phase
    image: int
    size: tuple[int, int]
    log: tuple[str, ...]
    loads: tuple[Load, ...]
    unloads: tuple[str, ...]
    moved_out: float
    free: float
    taken: float
    swapped: float
    estimate: float


@dataclass(slots=True)
class Run:
    """The steps of a workload, and every line in order."""

    steps: list[Step] = field(default_factory=list[Step])

    @property
    def lines(self) -> list[str]:
        """What Forge prints, in order."""
        return [line for step in self.steps for line in step.log]


def run(manager: Manager, parts: Mapping[Part, Component], work: Workload) -> Run:
    """Every step of a workload on a manager, whose state is changed by it. Parts that are missing are left out."""
    return _Session(manager, parts, work).run()


@dataclass(slots=True)
class _Session:
    manager: Manager
    parts: Mapping[Part, Component]
    work: Workload
    patcher: int = 0
    swapped: dict[str, float] = field(default_factory=dict[str, float])
    done: Run = field(default_factory=Run)

    def run(self) -> Run:
        bodies = {body.target: body for body in self.manager.bodies}
        for image in range(1, self.work.images + 1):
            if self.work.img2img:
                self._vae("vae_encode", bodies, image, self.work.passes[0], self.work.batch + self.work.inpaint)
            self._abandon(bodies.get(UNET))
            if TEXT_ENCODER in bodies and not self.work.cached_prompt and (image == 1 or self.work.new_prompt):
                self._encode(bodies[TEXT_ENCODER], image)
            self._generate(bodies, image)
        return self.done

    def _generate(self, bodies: Mapping[str, Body], image: int) -> None:
        work = self.work
        for index, size in enumerate(work.passes):
            if index and work.pixel_hires:
                self._vae("vae_decode", bodies, image, work.passes[index - 1])
                self._vae("vae_encode", bodies, image, size, work.batch + work.inpaint)
            elif work.late_encode or (work.inpaint and not work.img2img):
                self._vae("vae_encode", bodies, image, work.passes[0], work.batch if work.inpaint else 1)
            if UNET in bodies:
                self._sample(bodies[UNET], image, size)
        self._vae("vae_decode", bodies, image, work.passes[-1])

    def _encode(self, body: Body, image: int) -> None:
        for _ in range(self.work.prompts):
            self.manager.load([Entry(body)])
            body.use()
        self._close("text_encode", image, self.work.passes[0], body, 0)

    def _abandon(self, unet: Body | None) -> None:
        """What the last image's clone of the UNet held is nobody's now."""
        if self.work.clones:
            for held in (unet, *self.work.companions):
                for entry in self.manager.entries:
                    entry.abandoned = entry.abandoned or entry.body is held

    def _sample(self, body: Body, image: int, size: tuple[int, int]) -> None:
        element = dtypes.SIZE[self.parts[UNET].computation]
        needed = unet_estimate(*size, self.work.batch, element, split_attention=self.work.split_attention)
        self._abandon(body)
        self.patcher += self.work.clones
        others = [Entry(companion, self.patcher) for companion in self.work.companions]
        self.manager.load([Entry(body, self.patcher), *others], needed, self.work.hard)
        body.use()
        self._close("sample", image, size, body, needed)

    def _vae(self, phase: Phase, bodies: Mapping[str, Body], image: int, size: tuple[int, int], times: int = 1) -> None:
        if VAE not in bodies:
            return
        estimate = decode_estimate if phase == "vae_decode" else encode_estimate
        needed = estimate(*size, dtypes.SIZE[self.parts[VAE].storage])
        for _ in range(times):
            self.manager.load([Entry(bodies[VAE])], needed)
        self._close(phase, image, size, bodies[VAE], needed)

    def _close(self, phase: Phase, image: int, size: tuple[int, int], body: Body, estimate: float) -> None:
        manager = self.manager
        for load in manager.loads:
            self.swapped[load.target] = load.swap
        free = manager.free()
        self.done.steps.append(
            Step(
                phase,
                image,
                size,
                tuple(manager.lines),
                tuple(manager.loads),
                tuple(manager.unloads),
                manager.moved_out,
                free,
                manager.free_empty - free,
                self.swapped.get(body.target, 0) if body.swapped else 0,
                estimate,
            )
        )
        manager.lines, manager.loads, manager.unloads, manager.moved_out = [], [], [], 0
