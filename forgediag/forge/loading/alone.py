"""Whether modules fit a family, whatever the checkpoint: only the parts that they give are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forgediag.forge.families import LATENT_CHANNELS, UNET_PREFIX, Base, Detection
from forgediag.forge.loading.build import given
from forgediag.forge.loading.file import File
from forgediag.forge.loading.overlay import MaskedError, Overlay
from forgediag.forge.loading.play import masked, ordered, refused
from forgediag.forge.loading.reasons import Case, explained
from forgediag.forge.loading.split import group_of, parted
from forgediag.forge.state_dict import StateDict
from forgediag.model import Fault, Gap, Prediction, Tensor

_LEGACY = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
_MARKS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "sd15": (_LEGACY, (640, 768)),
    "sd2": (_LEGACY, (640, 1024)),
    "sdxl": (_LEGACY, (640, 2048)),
    "sdxl-refiner": (_LEGACY, (768, 1280)),
    "flux": ("double_blocks.0.img_attn.norm.key_norm.scale", (128,)),
    "sd3": ("final_layer.adaLN_modulation.1.bias", (3072,)),
}
"""The tensor by which Forge tells, when it lays a module over a checkpoint, what kind that is (backend/loader.py)."""


def fits(base: Base, modules: Sequence[File]) -> Prediction | Gap:
    """What Forge makes of the parts these modules give a checkpoint of this family, whose own UNet is whole.

    Returns:
        The prediction, its checkpoint "any checkpoint of BASE"; a gap where a header holds no names.
    """
    found = Detection(base, base, bare=False, latent_channels=LATENT_CHANNELS[base])
    case = Case(f"any checkpoint of {base}", tuple(modules), found)
    name, shape = _MARKS[group_of(base)]
    tensors: StateDict = {UNET_PREFIX + name: Tensor("F16", shape, 0)}
    overlay = Overlay(tensors, base)
    for file in modules:
        if isinstance(file.found, Fault):
            return refused(case, file.path, file.found)
        if file.found.unread is not None:
            return Gap(f"the tensors in {file.path} are not known here: {file.found.unread}", "unsupported")
        try:
            overlay.lay(ordered(file.found))
        except MaskedError as stumbled:
            return masked(case, stumbled, file.path)
    parts = parted(overlay)
    built = tuple(given(base, parts, {part for taken in parts.taken for part in taken}))
    error = built[-1].error if built else None
    printed = tuple(line for part in built for line in part.printed)
    phase = built[-1].phase if error else "loaded"
    return explained(replace(case, phase=phase, error=error, printed=printed, built=built, parts=parts))
