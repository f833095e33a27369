"""The text encoders of a family: which there are, where their tensors come from, and how they change in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from forgediag.forge import dtypes
from forgediag.forge.families import Base
from forgediag.forge.layers import Life, layer, linear, modules, plain
from forgediag.forge.parts import Layer, Stages
from forgediag.model import Tensor

StateDict = dict[str, Tensor]

_ENCODERS: Mapping[str, tuple[str, ...]] = {
    "sd15": ("clip_l",),
    "sd2": ("clip_h",),
    "sdxl": ("clip_l", "clip_g"),
    "sdxl-refiner": ("clip_g",),
    "sd3": ("clip_l", "clip_g", "t5xxl"),
    "flux": ("clip_l", "t5xxl"),
    "chroma": ("t5xxl",),
}
"""Encoders in the order of Forge's ModuleDict (backend/diffusion_engine/*.py)."""


def encoders_of(base: Base) -> tuple[str, ...]:
    """The text encoders of a family, by Forge's names."""
    key = "sd3" if base.startswith("sd3") else "flux" if base.startswith("flux") else base
    return _ENCODERS[key]


@dataclass(frozen=True, slots=True)
class TextParts:
    """Tensors by encoder ("clip_l", "t5xxl"), named as in Forge's modules ("text_model.encoder.layers.0...")."""

    dicts: Mapping[str, StateDict] = field(default_factory=dict[str, StateDict])

    def of(self, name: str) -> StateDict:
        """The tensors of one encoder, empty when there are none."""
        return self.dicts.get(name, {})

    def tensors(self) -> Iterable[Tensor]:
        """Every tensor of every encoder."""
        return (tensor for tensors in self.dicts.values() for tensor in tensors.values())


def text_stages(base: Base, parts: TextParts, storage: str) -> Stages:
    """The joint text encoder; `storage` is the type of the encoders that are not quantised.

    At the first prompt CLIP's embeddings become fp32, and so do plain weights in a GGUF T5; T5's embedding moves to
    the GPU, unless T5 is not used: SD3's `sd3_enable_t5` is off by default (Forge dfdcbab, backend/text_processing/*).
    """
    layers: list[Life] = []
    loose: list[int] = []
    buffers: list[int] = []
    for name in encoders_of(base):
        if name == "t5xxl":
            layers += _t5_layers(parts.of(name), storage, used=not base.startswith("sd3"))
            loose.append(4)
        else:
            layers += _clip_layers(name, parts.of(name), storage)
            loose.append(dtypes.SIZE[storage])
            buffers.append(77 * 8)
    return Stages.of(layers, tuple(loose), tuple(buffers))


def _clip_layers(name: str, tensors: StateDict, storage: str) -> list[Life]:
    stored, full = plain(dtypes.SIZE[storage]), plain(4)
    layers: list[Life] = []
    kept = {key: t for key, t in tensors.items() if key.startswith(("text_model.", "text_projection."))}
    for path, leaves in modules(kept).items():
        place = f"{name}.{path}"
        made = layer(place, leaves, stored)
        if not path.startswith("text_model.embeddings."):
            layers.append((made, made, made))
            continue
        grown = layer(place, leaves, full)
        if path.endswith(".token_embedding"):
            before, after = (
                Layer(f"{place}.wrapper", legacy=True, shadow=item.weight, twin=place) for item in (made, grown)
            )
            layers.append((before, before, after))
        layers.append((made, made, grown))
    return layers


def t5_storage(tensors: Mapping[str, Tensor], storage: str) -> str:
    """T5's storage type: that of a quantised or fp8 file, else the encoders' (backend/loader.py)."""
    stored = dtypes.stored_type(tensors)
    return stored if stored in dtypes.QUANTISED or stored in {dtypes.E4M3, dtypes.E5M2} else storage


def _t5_layers(tensors: StateDict, storage: str, *, used: bool) -> list[Life]:
    kept = t5_storage(tensors, storage)
    layers: list[Life] = []
    for path, leaves in modules(tensors).items():
        if not path.startswith(("encoder.", "shared")) or path.endswith("embed_tokens"):
            continue
        place = f"t5xxl.{path}"
        if path.endswith(("layer_norm", "shared", "relative_attention_bias")):
            made = layer(place, leaves, plain(4), legacy=path.endswith("layer_norm"))
            layers.append((made, made, replace(made, pulled=used and path == "shared")))
        else:
            layers.append(linear(place, leaves, kept, dtypes.FP32))
    return layers
