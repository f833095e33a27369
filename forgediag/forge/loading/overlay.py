"""Laying an additional module over a checkpoint's tensors, in the way and in the order Forge does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from forgediag.forge.families import UNET_PREFIX, VAE_PREFIX, Base
from forgediag.forge.state_dict import StateDict
from forgediag.model import Tensor

CITY96 = {
    "enc.": "encoder.",
    ".blk.": ".block.",
    "token_embd": "shared",
    "output_norm": "final_layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_norm": "layer.0.layer_norm",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_norm": "layer.1.layer_norm",
}
"""Names of a T5 in GGUF, in the order in which Forge replaces them."""

LAYER_NORM = "text_model.encoder.layers.0.layer_norm1.bias"
OPEN_CLIP_NORM = "transformer.resblocks.0.ln_1.bias"
T5_MARK = "encoder.block.0.layer.0.SelfAttention.k.weight"
VAE_MARK = "decoder.conv_in.weight"

_MARKS: Mapping[str, Mapping[str, str]] = {
    "clip_h": {"cond_stage_model.model.ln_final.weight": "cond_stage_model.model."},
    "clip_g": {
        f"conditioner.embedders.1.model.{OPEN_CLIP_NORM}": "conditioner.embedders.1.model.transformer.",
        f"text_encoders.clip_g.transformer.{LAYER_NORM}": "text_encoders.clip_g.transformer.",
        LAYER_NORM: "",
        OPEN_CLIP_NORM: "transformer.",
    },
    "clip_l": {
        f"cond_stage_model.transformer.{LAYER_NORM}": "cond_stage_model.transformer.",
        f"conditioner.embedders.0.transformer.{LAYER_NORM}": "conditioner.embedders.0.transformer.",
        f"text_encoders.clip_l.transformer.{LAYER_NORM}": "text_encoders.clip_l.transformer.",
        LAYER_NORM: "",
        OPEN_CLIP_NORM: "transformer.",
    },
}
"""The tensor a CLIP module is told by and the prefix of its names, in the order in which Forge looks for them."""

WIDTHS = {"clip_h": 1024, "clip_g": 1280, "clip_l": 768}

_PLACES: Mapping[str, Mapping[str, str]] = {
    "sd1": {"clip_l": "cond_stage_model.transformer."},
    "sd2": {"clip_h": "conditioner.embedders.0.model."},
    "refiner": {"clip_g": "conditioner.embedders.0.model.transformer."},
    "sdxl": {
        "clip_l": "conditioner.embedders.0.transformer.",
        "clip_g": "conditioner.embedders.1.model.transformer.",
    },
    "flux": {"clip_l": "text_encoders.clip_l.transformer."},
    "sd3": {"clip_l": "text_encoders.clip_l.transformer.", "clip_g": "text_encoders.clip_g.transformer."},
    "none": {},
}
"""Where Forge puts each encoder in a checkpoint of a kind; an encoder that is not named it drops."""


class MaskedError(Exception):
    """An exception inside `split_state_dict`, which Forge answers as 'Failed to recognize model type!'."""


@dataclass(slots=True)
class Overlay:
    """A checkpoint's tensors while modules are laid over them; `taken` names the parts each module gave.

    `mixed` tells that a module's UNet was laid over another kind of one.
    """

    tensors: StateDict
    base: Base
    taken: list[set[str]] = field(default_factory=list[set[str]])
    mixed: bool = False

    def lay(self, module: StateDict) -> None:
        """Lay one module over (Forge dfdcbab, backend/loader.py, replace_state_dict).

        Raises:
            MaskedError: Forge fails on its names.
        """
        parts: set[str] = set()
        self.taken.append(parts)
        if "enc.blk.0.attn_k.weight" in module:
            module = _from_city96(module)
        if VAE_MARK in module:
            self._replace(VAE_PREFIX[self.base], VAE_PREFIX[self.base], module)
            parts.add("VAE")
        kind = self._kind()
        if self._merges_vae(kind, module):
            self._note_unet(module)
            self.tensors.update(module)
            parts.add("VAE")
        for encoder in ("clip_h", "clip_g", "clip_l"):
            module = self._lay_clip(kind, encoder, module, parts)
        if T5_MARK in module:
            text = _TEXT_PREFIX.get(self.base, "text_encoders.") + "t5xxl."
            self._replace(text, f"{text}transformer.", module)
            parts.add("t5xxl")

    def _note_unet(self, module: StateDict) -> None:
        for name, tensor in module.items():
            if name.startswith(UNET_PREFIX):
                there = self.tensors.get(name)
                self.mixed = self.mixed or there is None or there.shape != tensor.shape

    def _replace(self, old: str, new: str, module: StateDict) -> None:
        for name in [name for name in self.tensors if name.startswith(old)]:
            del self.tensors[name]
        self.tensors.update({new + name: tensor for name, tensor in module.items()})

    def _kind(self) -> str:
        legacy = self.tensors.get("model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight")
        if legacy is not None:
            by_width = {768: "sd1", 1024: "sd2", 1280: "refiner", 2048: "sdxl"}
            return by_width.get(_side(legacy, 1), "none")
        if "model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale" in self.tensors:
            return "flux"
        return "sd3" if "model.diffusion_model.final_layer.adaLN_modulation.1.bias" in self.tensors else "none"

    def _merges_vae(self, kind: str, module: StateDict) -> bool:
        mark = module.get(f"first_stage_model.{VAE_MARK}")
        wanted = {"sd1": 4, "sd2": 4, "refiner": 4, "sdxl": 4, "sd3": 16}.get(kind)
        return mark is not None and _side(mark, 1) == wanted

    def _lay_clip(self, kind: str, encoder: str, module: StateDict, parts: set[str]) -> StateDict:
        for mark, old in _MARKS[encoder].items():
            if mark not in module or _side(module[mark], 0) != WIDTHS[encoder]:
                continue
            new = _PLACES[kind].get(encoder)
            if new is None:
                continue
            parts.add(encoder)
            if encoder == "clip_g" and "resblocks" not in mark and kind != "sd3":
                module = _to_open_clip(module, old, new)
                self.tensors.update(module)
            elif encoder == "clip_l" and "resblocks" in mark:
                module = _to_transformers(module, old, new)
                self.tensors.update(module)
            else:
                renamed = {name.replace(old, new) if old else new + name: t for name, t in module.items()}
                self.tensors.update(renamed)
        return module


_TEXT_PREFIX: Mapping[Base, str] = dict.fromkeys(("sd15", "sd2", "sdxl", "sdxl-refiner"), "cond_stage_model.")


def _side(tensor: Tensor, index: int) -> int:
    if len(tensor.shape) <= index:
        raise MaskedError("IndexError: tuple index out of range")
    return tensor.shape[index]


def _pop(tensors: StateDict, name: str) -> Tensor:
    if name not in tensors:
        raise MaskedError(f"KeyError: {name!r}")
    return tensors.pop(name)


def _from_city96(module: StateDict) -> StateDict:
    found: StateDict = {}
    for name, tensor in module.items():
        for old, new in CITY96.items():
            name = name.replace(old, new)  # noqa: PLW2901 - each name is rewritten in turn
        found[name] = tensor
    shared = _pop(dict(found), "shared.weight")
    if not shared.dtype.startswith("GGUF:"):
        raise MaskedError("AttributeError: 'Tensor' object has no attribute 'dequantize_as_pytorch_parameter'")
    return found


_LOOSE = (
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.final_layer_norm.weight", "ln_final.weight"),
    ("text_model.final_layer_norm.bias", "ln_final.bias"),
)
_BLOCK = (
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
)
"""transformers' names and OpenCLIP's."""


def _leaves(layers: int) -> Iterator[tuple[int, str]]:
    return ((index, leaf) for index in range(layers) for leaf in ("weight", "bias"))


def _to_open_clip(module: StateDict, old: str, new: str) -> StateDict:
    """A CLIP-G named as in transformers, as Forge renames it for SDXL; every name it lacks is a KeyError there."""
    made = dict(module)
    root = new[: -len("transformer.")]
    for name, there in _LOOSE:
        made[root + there] = _pop(made, old + name)
    made[f"{root}text_projection"] = _pop(made, "text_projection.weight")
    for index, leaf in _leaves(32):
        layer = f"{old}text_model.encoder.layers.{index}"
        for name, there in _BLOCK:
            made[f"{new}resblocks.{index}.{there}.{leaf}"] = _pop(made, f"{layer}.{name}.{leaf}")
        thirds = [_pop(made, f"{layer}.self_attn.{part}_proj.{leaf}") for part in "qkv"]
        first = thirds[0]
        rows = sum(_side(third, 0) for third in thirds)
        joined = Tensor(first.dtype, (rows, *first.shape[1:]), sum(third.nbytes for third in thirds))
        made[f"{new}resblocks.{index}.attn.in_proj_{leaf}"] = joined
    return made


def _to_transformers(module: StateDict, old: str, new: str) -> StateDict:
    """A CLIP-L named as in OpenCLIP, as Forge renames it."""
    made = dict(module)
    for name, there in _LOOSE:
        made[new + name] = _pop(made, there)
    made["text_projection.weight"] = _pop(made, "text_projection")
    for index, leaf in _leaves(12):
        layer = f"{new}text_model.encoder.layers.{index}"
        for name, there in _BLOCK:
            made[f"{layer}.{name}.{leaf}"] = _pop(made, f"{old}resblocks.{index}.{there}.{leaf}")
        joined = _pop(made, f"{old}resblocks.{index}.attn.in_proj_{leaf}")
        for part, third in zip("qkv", thirds_of(joined), strict=True):
            made[f"{layer}.self_attn.{part}_proj.{leaf}"] = third
    return made


def thirds_of(joined: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A joint q/k/v projection in its three parts."""
    third = Tensor(joined.dtype, (_side(joined, 0) // 3, *joined.shape[1:]), joined.nbytes // 3)
    return third, third, third
