"""Why Forge takes nothing of a module, and says nothing about it."""

from __future__ import annotations

from forgediag.forge.families import Base, detect
from forgediag.forge.loading.overlay import VAE_MARK
from forgediag.model import Header


def because(module: Header, base: Base) -> str:
    """The reason in a sentence; what Forge looks for is in `overlay`."""
    return f"Forge ignores it without a word: {_vae(module, base) or _other(module, base)}"


def _vae(module: Header, base: Base) -> str | None:
    extracted = module.tensors.get(f"first_stage_model.{VAE_MARK}")
    if extracted is not None and base in {"flux-dev", "flux-schnell", "chroma"}:
        return "its VAE's tensors are named first_stage_model.…, which it looks for only beside SD1 to SD3"
    if extracted is not None:
        return f"its VAE has {extracted.shape[1]} latent channels, and {base} needs another number"
    return "its VAE's tensors are named vae.…" if f"vae.{VAE_MARK}" in module.tensors else None


def _other(module: Header, base: Base) -> str:
    found = detect(module)
    if found.family in _ENCODERS:
        return f"{base} has no use for {_ENCODERS[found.family]}"
    if found.base is not None:
        return f"a checkpoint of the family {found.family} holds nothing that {base} takes from a module"
    return _KINDS.get(found.family, f"it is a file of the kind {found.family}")


_KINDS = {
    "taesd": "a TAESD is for previews, not for decoding",
    "unknown": "it holds no VAE and no text encoder Forge knows",
}
_ENCODERS = {"clip_l": "CLIP-L", "clip_g": "CLIP-G", "clip_h": "OpenCLIP-H", "t5": "T5"}
