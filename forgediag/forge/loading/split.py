"""Splitting a checkpoint with its modules into the state dicts of the parts, as Forge does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgediag.forge.families import UNET_PREFIX, VAE_PREFIX, Base
from forgediag.forge.loading.overlay import Overlay, thirds_of
from forgediag.forge.state_dict import StateDict
from forgediag.model import Tensor


@dataclass(frozen=True, slots=True)
class Parts:
    """State dicts by the names of Forge's components, in its order ("unet", "vae", "text_encoder", ...)."""

    dicts: Mapping[str, StateDict]
    ignored: int
    taken: tuple[frozenset[str], ...]

    @property
    def line(self) -> str:
        """The line the console shows."""
        counts = {name: len(tensors) for name, tensors in self.dicts.items()}
        return f"StateDict Keys: { {**counts, 'ignore': self.ignored} }"


_TARGETS: Mapping[str, Mapping[str, str]] = {
    "sd15": {"clip_l": "text_encoder"},
    "sd2": {"clip_h": "text_encoder"},
    "sdxl": {"clip_l": "text_encoder", "clip_g": "text_encoder_2"},
    "sdxl-refiner": {"clip_g": "text_encoder"},
    "sd3": {"clip_l": "text_encoder", "clip_g": "text_encoder_2", "t5xxl": "text_encoder_3"},
    "flux": {"clip_l": "text_encoder", "t5xxl": "text_encoder_2"},
}
"""Forge's component of each encoder (huggingface_guess 84826248, model_list.py; of SD3 Forge dfdcbab, sd35.py)."""

_PRESENT = {
    "clip_l": "text_encoders.clip_l.transformer.text_model.final_layer_norm.weight",
    "t5xxl": "text_encoders.t5xxl.transformer.encoder.final_layer_norm.weight",
}
"""The tensors without which a Flux has no such component at all."""


def group_of(base: Base) -> str:
    """The families that Forge treats alike."""
    if base.startswith("sd3"):
        return "sd3"
    return "flux" if base.startswith("flux") or base == "chroma" else base


def unet_name(base: Base) -> str:
    """Forge's name of the component the UNet or transformer is."""
    return "transformer" if group_of(base) in {"flux", "sd3"} else "unet"


def split(checkpoint: Mapping[str, Tensor], modules: Sequence[StateDict], base: Base) -> Parts:
    """The parts of a checkpoint after its modules were laid over it, in the order given.

    Raises:
        MaskedError: Forge fails on a module's names.
    """
    overlay = start(checkpoint, base)
    for module in modules:
        overlay.lay(module)
    return parted(overlay)


def start(checkpoint: Mapping[str, Tensor], base: Base) -> Overlay:
    """A checkpoint before any module."""
    return Overlay(prefixed(checkpoint), base)


def prefixed(checkpoint: Mapping[str, Tensor]) -> StateDict:
    """The names with the UNet's prefix where none has it (Forge dfdcbab, backend/loader.py)."""
    if any(name.startswith("model.diffusion_model") for name in checkpoint):
        return dict(checkpoint)
    return {f"{UNET_PREFIX}{name}": tensor for name, tensor in checkpoint.items()}


def parted(overlay: Overlay) -> Parts:
    """The state dicts of the parts (Forge dfdcbab, backend/loader.py, split_state_dict)."""
    group, rest = group_of(overlay.base), dict(overlay.tensors)
    targets = _TARGETS[group]
    if group == "flux":
        targets = {encoder: name for encoder, name in targets.items() if _PRESENT[encoder] in rest}
    dicts = {
        unet_name(overlay.base): take(rest, UNET_PREFIX),
        "vae": take(rest, VAE_PREFIX[overlay.base]),
    }
    rest = _TEXTS[group](rest)
    for encoder, name in targets.items():
        dicts[name] = take(rest, f"{encoder}.")
    return Parts(dicts, len(rest), tuple(map(frozenset, overlay.taken)))


def take(tensors: StateDict, prefix: str) -> StateDict:
    """Remove the tensors under a prefix and return them without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name[len(prefix) :]: tensors.pop(name) for name in names}


def _moved(tensors: StateDict, prefixes: Mapping[str, str]) -> StateDict:
    """Only the tensors under these prefixes, with the new ones."""
    found: StateDict = {}
    for old, new in prefixes.items():
        found.update({new + name: tensor for name, tensor in take(tensors, old).items()})
    return found


def _sd15(tensors: StateDict) -> StateDict:
    old, new = "cond_stage_model.transformer.", "cond_stage_model.transformer.text_model."
    for name in list(tensors):
        if name.startswith(old) and not name.startswith(new):
            tensors[name.replace(old, new)] = tensors.pop(name)
    return _moved(tensors, {"cond_stage_model.": "clip_l."})


def _sd2(tensors: StateDict) -> StateDict:
    prefixes = {"conditioner.embedders.0.model.": "clip_h.", "cond_stage_model.model.": "clip_h."}
    return _converted(_moved(tensors, prefixes), "clip_h.")


def _refiner(tensors: StateDict) -> StateDict:
    return _converted(_moved(tensors, {"conditioner.embedders.0.model.": "clip_g."}), "clip_g.")


def _sdxl(tensors: StateDict) -> StateDict:
    prefixes = {
        "conditioner.embedders.0.transformer.text_model": "clip_l.transformer.text_model",
        "conditioner.embedders.1.model.": "clip_g.",
    }
    return _converted(_moved(tensors, prefixes), "clip_g.")


def _joint(tensors: StateDict) -> StateDict:
    return _moved(tensors, {"text_encoders.": ""})


_TEXTS = {"sd15": _sd15, "sd2": _sd2, "sdxl": _sdxl, "sdxl-refiner": _refiner, "sd3": _joint, "flux": _joint}

_LOOSE = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def _converted(tensors: StateDict, prefix: str) -> StateDict:
    """OpenCLIP's names as transformers' ones, in place; other names stay (clip_text_transformers_convert)."""
    model = f"{prefix}transformer.text_model."
    for old, new in _LOOSE.items():
        _rename(tensors, prefix + old, model + new)
    for index in range(32):
        block, layer = f"{prefix}transformer.resblocks.{index}.", f"{model}encoder.layers.{index}."
        for old, new in _BLOCK.items():
            for leaf in ("weight", "bias"):
                _rename(tensors, f"{block}{old}.{leaf}", f"{layer}{new}.{leaf}")
        for leaf in ("weight", "bias"):
            joined = tensors.pop(f"{block}attn.in_proj_{leaf}", None)
            if joined is not None:
                for part, third in zip("qkv", thirds_of(joined), strict=True):
                    tensors[f"{layer}self_attn.{part}_proj.{leaf}"] = third
    projection = f"{prefix}transformer.text_projection.weight"
    _rename(tensors, f"{prefix}text_projection.weight", projection)
    if (turned := tensors.pop(f"{prefix}text_projection", None)) is not None:
        tensors[projection] = Tensor(turned.dtype, turned.shape[::-1], turned.nbytes)
    return tensors


def _rename(tensors: StateDict, old: str, new: str) -> None:
    if old in tensors:
        tensors[new] = tensors.pop(old)
