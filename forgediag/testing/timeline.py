"""A lively day of a Forge in three minutes, over and over: what `forgediag demo` shows."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from forgediag.model import MB
from forgediag.testing.forge import FaultKind, ForgeError, Pace, Setup, SimulatedForge
from forgediag.testing.gpu import SimulatedGpu

log = logging.getLogger(__name__)

DEMO_PACE = Pace(load_per_gb=0.9, text_encode=0.8, unet_load=1.2, step=0.6, swap_per_gb=0.1, vae_decode=1.2)
"""Slow enough to watch; a mid-range card's."""

Deed = Literal[
    "generate",
    "interrupt",
    "set",
    "fault",
    "heal",
    "die",
    "restart",
    "lose",
    "find",
    "heat",
    "cool",
    "download",
    "tidy",
]

HOT = 0x40
"""nvmlClocksEventReasons: the hardware slows down because it is too hot."""

SAVED_PAGE = "models/Stable-diffusion/downloaded.safetensors"


@dataclass(frozen=True, slots=True)
class Action:
    """Something `after` seconds after the action before it. `what`: fields of the job, options, or the fault.

    The card can be lost and found, heat up and cool down; a log-in page can be saved as a model, and tidied away.
    """

    after: float
    deed: Deed
    title: str
    what: Mapping[str, Any] = field(default_factory=dict[str, Any])


FLUX_MODULES = ["ae.safetensors", "clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"]

CYCLE: tuple[Action, ...] = (
    Action(4, "die", "Forge is stopped for an update"),
    Action(3, "restart", "and started again"),
    Action(2, "generate", "a small picture: SD 1.5 loads first", {"width": 512, "height": 512}),
    Action(9, "generate", "two pictures at once", {"width": 512, "height": 768, "batch_size": 2}),
    Action(13, "set", "SDXL is selected", {"sd_model_checkpoint": "sunrise-sdxl.safetensors"}),
    Action(0, "heat", "the card is too hot and slows down"),
    Action(1, "generate", "one SDXL picture", {"width": 1024, "height": 1024}),
    Action(24, "generate", "a long one", {"width": 1024, "height": 1024, "steps": 30}),
    Action(7, "interrupt", "somebody loses patience"),
    Action(0, "cool", "the card has cooled down"),
    Action(5, "set", "more memory for inference", {"forge_inference_memory": 4096}),
    Action(1, "generate", "a larger picture", {"width": 1280, "height": 1280, "steps": 10}),
    Action(18, "generate", "too large: out of memory", {"width": 2048, "height": 2048, "batch_size": 8}),
    Action(6, "set", "a VAE that does not fit", {"forge_additional_modules": ["ae.safetensors"]}),
    Action(1, "generate", "it fails to load"),
    Action(9, "set", "back to what worked", {"forge_additional_modules": []}),
    Action(1, "generate", "and still it fails: the broken state"),
    Action(
        4,
        "set",
        "Flux, which is larger than the card",
        {"sd_model_checkpoint": "harbour-flux-fp8.safetensors", "forge_additional_modules": FLUX_MODULES},
    ),
    Action(0, "download", "a log-in page is saved as a model"),
    Action(1, "generate", "one Flux picture, partly swapped", {"width": 1024, "height": 1024, "steps": 10}),
    Action(27, "fault", "Forge is slow to answer", {"kind": "latency", "seconds": 1.5}),
    Action(6, "heal", "and quick again"),
    Action(2, "fault", "Forge hangs", {"kind": "hang"}),
    Action(8, "heal", "and comes back"),
    Action(2, "tidy", "the log-in page is deleted"),
    Action(1, "lose", "the card falls off the bus"),
    Action(12, "find", "the driver is loaded anew"),
    Action(2, "die", "Forge crashes"),
    Action(8, "restart", "Forge is started again"),
    Action(
        3,
        "set",
        "SD 1.5 as at first",
        {
            "sd_model_checkpoint": "meadow-sd15.safetensors",
            "forge_additional_modules": [],
            "forge_inference_memory": 1024,
        },
    ),
    Action(2, "set", "an option of a wrong type breaks GET options", {"CLIP_stop_at_last_layers": "two"}),
    Action(8, "set", "and is put right", {"CLIP_stop_at_last_layers": 1}),
)


def setup_on(gpu: SimulatedGpu) -> Setup:
    """A Forge for the demo, of that card's size: what torch sees is without the driver's reserve."""
    return Setup(pace=DEMO_PACE, vram_mb=(gpu.total - gpu.reserved) // MB)


def connect(forge: SimulatedForge, gpu: SimulatedGpu) -> None:
    """Let the card follow what Forge does on it, and Forge see what the card's other process holds."""
    forge.torch.outside = gpu.other[1]
    forge.on_phase(lambda change: gpu.set_phase(change.phase, change.used))


def lively() -> Iterator[Action]:
    """The cycle, without end."""
    while True:
        yield from CYCLE


async def play(forge: SimulatedForge, actions: Iterable[Action] | None = None, gpu: SimulatedGpu | None = None) -> None:
    """Do the actions to a Forge and its card, each at its time by the Forge's clock; endlessly unless told which."""
    for action in lively() if actions is None else actions:
        await forge.clock.sleep(action.after)
        log.info("simulated Forge: %s", action.title)
        await perform(forge, action, gpu)


async def perform(forge: SimulatedForge, action: Action, gpu: SimulatedGpu | None = None) -> None:
    """Do one action; what Forge refuses is refused, as a client would see."""
    happen_to_card(gpu, action.deed)
    happen_to_files(Path(forge.setup.root), action.deed)
    if action.deed == "generate":
        forge.start_job(**action.what)
    elif action.deed == "interrupt":
        forge.engine.interrupt()
    elif action.deed == "set":
        with contextlib.suppress(ForgeError):
            forge.options.post(dict(action.what))
    elif action.deed == "fault":
        forge.fault(cast("FaultKind", action.what["kind"]), seconds=action.what.get("seconds", 1.0))
    elif action.deed == "heal":
        forge.heal()
    elif action.deed == "die":
        await forge.go_down()
    elif action.deed == "restart":
        await forge.restart()


def happen_to_card(gpu: SimulatedGpu | None, deed: Deed) -> None:
    """What a deed does to the card, if there is one."""
    if gpu is not None and deed in {"lose", "find"}:
        gpu.lost = deed == "lose"
    if gpu is not None and deed in {"heat", "cool"}:
        gpu.throttled = HOT if deed == "heat" else 0


def happen_to_files(root: Path, deed: Deed) -> None:
    """What a deed does to Forge's folders, if they are on a disk."""
    page = root / SAVED_PAGE
    if deed == "download" and page.parent.is_dir():
        page.write_text("<!DOCTYPE html><html><head><title>Log in</title></head></html>", "utf-8")
    elif deed == "tidy":
        page.unlink(missing_ok=True)
