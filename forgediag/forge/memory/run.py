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
from forgediag.forge.memory.start import built

Phase = Literal["text_encode", "vae_encode", "sample", "vae_decode"]


@dataclass(frozen=True, slots=True)
class Successor:
    """A checkpoint that takes over within an image: for hires fix's second pass, or as refiner in the midst of one.

    Forge drops the first one for it, builds it anew, and does the same the other way round before the next image.
    """

    role: Literal["hires", "refiner"]
    parts: Mapping[Part, Component]
    ram: float


@dataclass(frozen=True, slots=True)
class Workload:
    """What is generated. Pixels; `passes` are the sizes sampled one after the other (hires fix has two).

    `prompts` is how many prompts are encoded for one image (two with a negative prompt, one at CFG 1), `hires_prompts`
    how many more for hires fix; `cached_prompt` leaves even the first image's out. `img2img` encodes the picture
    before the prompts, `late_encode` after them, and an `inpaint` checkpoint encodes what it may not change. `hard`
    bytes are preserved while sampling (ControlLoRA, online LoRAs), `companions` are loaded with the UNet
    (ControlNets). `new_lora` changes the LoRA with every image. `pixel_hires` decodes and encodes between the passes
    (an upscaler that is not a latent one). The order is that of the loads traced in a real Forge dfdcbab.
    """

    passes: tuple[tuple[int, int], ...] = ((1024, 1024),)
    batch: int = 1
    images: int = 1
    prompts: int = 2
    hires_prompts: int = 0
    cached_prompt: bool = False
    new_prompt: bool = False
    img2img: bool = False
    inpaint: bool = False
    late_encode: bool = False
    cloned_unet: bool = False
    new_lora: bool = False
    pixel_hires: bool = False
    hard: float = 0
    split_attention: bool = False
    companions: tuple[Body, ...] = ()
    successor: Successor | None = None

    @property
    def clones(self) -> bool:
        """Whether every pass has a UNet patcher of its own: an extension changes it, or a ControlNet hangs on it."""
        return self.cloned_unet or bool(self.companions)


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of one image: the lines printed, the loads, and what lay on the card when it computed. Bytes.

    `succeeded` tells a phase of the checkpoint that took over.
    """

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
    succeeded: bool = False


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
    first: Mapping[Part, Component]
    work: Workload
    patcher: int = 0
    succeeded: bool = False
    swapped: dict[str, float] = field(default_factory=dict[str, float])
    done: Run = field(default_factory=Run)

    @property
    def parts(self) -> Mapping[Part, Component]:
        """Of the checkpoint that is loaded."""
        return self.work.successor.parts if self.succeeded and self.work.successor else self.first

    def run(self) -> Run:
        work = self.work
        for image in range(1, work.images + 1):
            again = self.succeeded
            if again:
                self._exchange()
            if work.img2img:
                self._vae("vae_encode", image, work.passes[0], work.batch + work.inpaint)
            if work.new_lora:
                self._renew(TEXT_ENCODER, UNET)
            elif work.clones:
                self._renew(UNET)
            if not work.cached_prompt and (image == 1 or work.new_prompt or again):
                later = work.successor is not None and work.successor.role == "hires"
                self._encode(image, work.prompts + (0 if later else work.hires_prompts))
            self._generate(image)
        return self.done

    def _generate(self, image: int) -> None:
        work = self.work
        for index, size in enumerate(work.passes):
            if index:
                self._between(image, index)
            if work.late_encode or (work.inpaint and not work.img2img and not (index and work.pixel_hires)):
                self._vae("vae_encode", image, work.passes[0], work.batch if work.inpaint else 1)
            self._sample(image, size)
            if not index and work.successor is not None and work.successor.role == "refiner":
                self._exchange()
                self._encode(image, work.prompts)
                self._sample(image, size)
        self._vae("vae_decode", image, work.passes[-1])

    def _between(self, image: int, index: int) -> None:
        """From one pass of hires fix to the next."""
        work, size = self.work, self.work.passes[index]
        if work.pixel_hires:
            self._vae("vae_decode", image, work.passes[index - 1])
        exchanged = work.successor is not None and work.successor.role == "hires"
        if exchanged:
            self._exchange()
        if work.pixel_hires:
            self._vae("vae_encode", image, size, work.batch + work.inpaint)
        if exchanged:
            self._encode(image, work.hires_prompts)

    def _exchange(self) -> None:
        """forge_model_reload: everything is unloaded, the other checkpoint is built."""
        self.manager.unload_all()
        self.succeeded = not self.succeeded
        ram = self.work.successor.ram if self.work.successor else 0.0
        self.manager.bodies = [*built(self.manager, self.parts, ram), *self.work.companions]
        self.swapped.clear()

    def _body(self, part: Part) -> Body | None:
        return next((body for body in self.manager.bodies if body.target == part), None)

    def _encode(self, image: int, prompts: int) -> None:
        body = self._body(TEXT_ENCODER)
        if body is None:
            return
        for _ in range(prompts):
            self.manager.load([Entry(body, image if self.work.new_lora else 0)])
            body.use()
        self._close("text_encode", image, self.work.passes[0], body, 0)

    def _renew(self, *parts: Part) -> None:
        """Patchers of these parts made anew; the last ones, and the ControlNets on them, are nobody's now."""
        self.patcher += 1
        for held in (*map(self._body, parts), *self.work.companions):
            for entry in self.manager.entries:
                entry.abandoned = entry.abandoned or entry.body is held

    def _sample(self, image: int, size: tuple[int, int]) -> None:
        body = self._body(UNET)
        if body is None:
            return
        element = dtypes.SIZE[self.parts[UNET].computation]
        needed = unet_estimate(*size, self.work.batch, element, split_attention=self.work.split_attention)
        if self.work.clones:
            self._renew(UNET)
        others = [Entry(companion, self.patcher) for companion in self.work.companions]
        self.manager.load([Entry(body, self.patcher), *others], needed, self.work.hard)
        body.use()
        self._close("sample", image, size, body, needed)

    def _vae(self, phase: Phase, image: int, size: tuple[int, int], times: int = 1) -> None:
        body = self._body(VAE)
        if body is None:
            return
        estimate = decode_estimate if phase == "vae_decode" else encode_estimate
        needed = estimate(*size, dtypes.SIZE[self.parts[VAE].storage])
        for _ in range(times):
            self.manager.load([Entry(body)], needed)
        self._close(phase, image, size, body, needed)

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
                self.succeeded,
            )
        )
        manager.lines, manager.loads, manager.unloads, manager.moved_out = [], [], [], 0
