"""What is asked of the planner: files, card, host, settings and the picture to make. MB as Forge counts them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.families import Base
from forgediag.forge.memory.swap import Swap
from forgediag.model import MB, Header

USUAL_CARDS = (2, 3, 4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 80, 96, 141, 192)
"""Sizes cards are sold in, GB."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card. `free_mb` is what Forge sees free before its first load; the total defaults to the next usual size."""

    free_mb: float
    total_mb: float | None = None
    name: str = ""
    capability: tuple[int, int] = (8, 9)
    pcie_generation: int | None = None
    pcie_width: int | None = None

    @property
    def total(self) -> float:
        """Total MB: given, or the free memory rounded up to the next usual card."""
        if self.total_mb is not None:
            return self.total_mb
        return next((size * 1024.0 for size in USUAL_CARDS if size * 1024 >= self.free_mb), self.free_mb)

    @property
    def device(self) -> Device:
        """The card as Forge's type rules see it."""
        return Device(self.capability, self.name)


@dataclass(frozen=True, slots=True)
class Settings:
    """Forge's memory options, under the names of its web page."""

    inference_memory_mb: float = 1024
    method: Literal["Queue", "Async"] = "Queue"
    location: Literal["CPU", "Shared"] = "CPU"

    @property
    def swap(self) -> Swap:
        """Swap method and location."""
        return Swap(self.method == "Async", self.location == "Shared")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is generated. `width` and `height` None: the family's usual size; `cfg` None: the family's usual scale.

    `hires` is the scale of a second pass, `hires_cfg` its CFG scale where it differs, `pixel_hires` whether its
    upscaler works on pixels and not on latents. `late_encode` is an extension that encodes a picture right before
    sampling (Fooocus inpaint; ControlNet's inpaint, reference and tile preprocessors), `new_lora` another LoRA with
    every image.
    """

    width: int | None = None
    height: int | None = None
    batch: int = 1
    steps: int = 20
    cfg: float | None = None
    images: int = 1
    new_prompt: bool = False
    cached_prompt: bool = False
    img2img: bool = False
    late_encode: bool = False
    hires: float | None = None
    hires_cfg: float | None = None
    pixel_hires: bool = False
    cloned_unet: bool = False
    new_lora: bool = False
    hard_mb: float = 0
    split_attention: bool = False

    def size(self, base: Base) -> tuple[int, int]:
        """Pixels of the first pass: 512 for SD1.5, else 1024, where not given."""
        usual = 512 if base == "sd15" else 1024
        return self.width or usual, self.height or usual

    def scale(self, base: Base) -> float:
        """CFG scale: 1 for Flux and Chroma, else 7, where not given."""
        return self.cfg if self.cfg is not None else (1.0 if base in _ONE_PASS else 7.0)

    def hires_prompts(self, base: Base) -> int:
        """Prompts hires fix encodes for itself, though they are the same: a negative one unless its CFG scale is 1."""
        scale = self.scale(base) if self.hires_cfg is None else self.hires_cfg
        return 0 if self.hires is None else 1 if scale == 1 else 2


_ONE_PASS = frozenset({"flux-dev", "flux-schnell", "chroma"})


@dataclass(frozen=True, slots=True)
class Second:
    """A checkpoint that takes over within an image: hires fix with its own one, or a refiner."""

    role: Literal["hires", "refiner"]
    checkpoint: Header
    modules: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """Everything a plan depends on. `storage` is `forge_unet_storage_dtype`, `ram_mb` the host's memory if known.

    `flags` are Forge's start flags as attributes ("always_low_vram", "vae_in_fp32"). `controlnets` clone the UNet for
    every pass, even those that are not loaded beside it (ControlLoRAs, T2I adapters). `online_loras` are LoRAs with
    "on the fly" chosen; merged ones change no line. The time to read a `second` checkpoint's file is in no number.
    """

    checkpoint: Header
    modules: tuple[Header, ...]
    card: Card
    settings: Settings = field(default_factory=Settings)
    picture: Picture = field(default_factory=Picture)
    storage: str | None = None
    flags: frozenset[str] = frozenset()
    ram_mb: float | None = None
    name: str = ""
    controlnets: tuple[Header, ...] = ()
    online_loras: tuple[Header, ...] = ()
    second: Second | None = None

    @property
    def moment(self) -> Moment:
        """What Forge's type rules look at."""
        return Moment(int(self.card.free_mb * MB), int(self.settings.inference_memory_mb * MB), self.flags)

    def setting(self, settings: Settings) -> Request:
        """The same with other settings."""
        return replace(self, settings=settings)


def flags_of(text: str) -> frozenset[str]:
    """Forge's start flags as attributes: "--always-low-vram --xformers" to {"always_low_vram", "xformers"}."""
    return frozenset(word.lstrip("-").replace("-", "_") for word in text.split() if word.startswith("--"))


class RefusedError(Exception):
    """A request that cannot be planned: one line for the user."""


def checked(request: Request) -> Request:
    """The request, if it can be planned.

    Raises:
        RefusedError: a size that is no multiple of 8, a batch below 1, a card below 256 MB.
    """
    card, picture = request.card, request.picture
    if card.free_mb < 256:
        guess = f"{card.free_mb:g}"
        raise RefusedError(f"a card with {guess} MB is too small for any model; did you mean {guess}GiB?")
    for label, length in (("width", picture.width), ("height", picture.height)):
        if length is not None and (length < 64 or length % 8):
            raise RefusedError(f"{label} {length}: Forge makes pictures from 64 pixels on, in steps of 8")
    for label, count in (("batch", picture.batch), ("images", picture.images), ("steps", picture.steps)):
        if count < 1:
            raise RefusedError(f"{label} {count}: at least 1 is needed")
    return request
