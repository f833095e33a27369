"""A model file in its place: what its name, header and end say, and whether it belongs into its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from forgediag.forge import families
from forgediag.formats.faults import fault
from forgediag.formats.model_file import inspect
from forgediag.formats.names import CONTROL, CORRUPTED, blob_ending, is_blob, working_ending
from forgediag.formats.tail import unwritten
from forgediag.formats.window import Window
from forgediag.model import Fault, Header, Role, Safety

_MISPLACED: Mapping[str, tuple[str, str]] = {
    "lora": ("misplaced-lora", "a LoRA"),
    "embedding": ("misplaced-embedding", "a textual inversion embedding"),
    "controlnet": ("misplaced-controlnet", "a ControlNet"),
    "upscaler": ("misplaced-upscaler", "an upscaler"),
    "vae": ("misplaced-vae", "a VAE"),
    "taesd": ("misplaced-vae", "a preview VAE (TAESD)"),
    "t5": ("misplaced-text-encoder", "a T5 text encoder"),
    "clip_l": ("misplaced-text-encoder", "a CLIP-L text encoder"),
    "clip_g": ("misplaced-text-encoder", "a CLIP-G text encoder"),
    "clip_h": ("misplaced-text-encoder", "a CLIP-H text encoder"),
    "diffusers-unet": ("diffusers-part", "the UNet of a diffusers folder"),
}
"""What a file in the checkpoint folder is by `families.detect`, and how it is told.

The transformer of a diffusers folder is not listed: Forge loads a bare one of some families."""

_HINT = "input_hint_block.0.weight"

_REFUSES = "ValueError: Failed to recognize model type!"
"""What Forge dfdcbab raises for a file in which it finds no UNet (backend/loader.py; observed)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A file's header, None where it has none that can be read, and what is wrong with the file, if anything.

    `safety` is what loading it would run, None for formats in which nothing can.
    """

    header: Header | None
    fault: Fault | None
    safety: Safety | None = None


def judge(name: str, window: Window, role: Role | None = None) -> Judged:
    """What a file is and what is wrong with it: the first fault of its name, header, end and place.

    Args:
        name: its name or path; the ending decides how Forge reads it.
        window: its bytes.
        role: the folder it lies in, as Forge lists it; None where that is not known.

    Raises:
        OSError: the file cannot be read, or judging it takes more of it than the window gives.
    """
    low = name.lower()
    if low.endswith(CORRUPTED):
        return _corrupted(name, window)
    if low.endswith(CONTROL):
        return Judged(None, fault("control-file", "aria2 has not finished the download beside this file"))
    if (ending := working_ending(name)) is not None:
        return _leftover(name, ending, window)
    found = _whole(name, window)
    if found.fault is None and found.header is not None:
        if low.endswith(".sft"):
            return replace(found, fault=fault("sft-not-listed", "the file is whole, but Forge does not list .sft"))
        if role == "checkpoint":
            return replace(found, fault=misplaced(found.header))
    return found


def misplaced(header: Header) -> Fault | None:
    """Whether a file in the checkpoint folder is no checkpoint."""
    found = families.detect(header)
    # a bare ControlNet is the first half of a UNet, and Forge's detection takes it for a whole one
    half = found.bare and _HINT in header.tensors
    known = _MISPLACED.get("controlnet" if half else found.family)
    if known is None:
        return None
    says = None if found.base is not None else _REFUSES
    return fault(known[0], f"the file is {known[1]}, not a checkpoint", says=says)


def _whole(name: str, window: Window) -> Judged:
    if is_blob(name):
        name += blob_ending(window.read(0, 16))
    found, safety = inspect(name, window)
    if isinstance(found, Fault):
        return Judged(None, found, safety)
    return Judged(found, found.doubt or unwritten(window, found), safety)


def _corrupted(name: str, window: Window) -> Judged:
    found = _whole(name[: -len(CORRUPTED)], window)
    if found.fault is None:
        message = "Forge renamed this file after a failed load, but it is whole"
        return replace(found, fault=fault("corrupted-but-whole", message))
    return found


def _leftover(name: str, ending: str, window: Window) -> Judged:
    found = _whole(name[: -len(ending)], window)
    if found.fault is None and found.header is not None and found.header.tensors:
        message = f"the file is whole but still has the ending {ending} of a running download"
        return replace(found, fault=fault("download-leftover-whole", message))
    why = f": {found.fault.message}" if found.fault is not None else ""
    message = f"the download did not finish (its ending is {ending}){why}"
    return replace(found, header=None, fault=fault("download-leftover", message))
