"""The text encoders of a family: which there are, where their tensors come from, and how they change in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from forgediag.forge import dtypes
from forgediag.forge.families import TEXT_PREFIXES, Base
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

    @classmethod
    def of_checkpoint(cls, tensors: Mapping[str, Tensor], base: Base) -> TextParts:
        """What a checkpoint brings itself (huggingface_guess 84826248, model_list.py, process_clip_state_dict)."""
        dicts: dict[str, StateDict] = {}
        for name, tensor in tensors.items():
            if name.startswith(TEXT_PREFIXES[base]) and (place := _place_in_checkpoint(name, base)) is not None:
                dicts.setdefault(place[0], {})[place[1]] = tensor
        return cls({encoder: _as_transformers(found, encoder) for encoder, found in dicts.items()})

    def replaced_by(self, module: Mapping[str, Tensor], base: Base) -> TextParts:
        """The encoders after an additional module was laid over them (Forge dfdcbab, backend/loader.py)."""
        dicts = dict(self.dicts)
        if "enc.blk.0.attn_k.weight" in module:
            module = {_from_city96(name): tensor for name, tensor in module.items()}
        for prefix, key in (*_CLIP_MARKS.items(), ("", "transformer.resblocks.0.ln_1.bias")):
            mark = module.get(prefix + key)
            encoder = _BY_WIDTH.get(mark.shape[0], "") if mark is not None and mark.shape else ""
            if encoder in encoders_of(base):
                found = {name.removeprefix(prefix): tensor for name, tensor in module.items()}
                kept = _as_transformers(found, encoder)
                if base in {"sd15", "sdxl"} and encoder == "clip_l":
                    kept = {name: tensor for name, tensor in kept.items() if name.startswith("text_model.")}
                dicts[encoder] = {**dicts.get(encoder, {}), **kept}
        if "encoder.block.0.layer.0.SelfAttention.k.weight" in module and "t5xxl" in encoders_of(base):
            dicts["t5xxl"] = dict(module)
        return TextParts(dicts)


_CLIP_MARKS = {
    "cond_stage_model.model.": "ln_final.weight",
    "conditioner.embedders.1.model.": "transformer.resblocks.0.ln_1.bias",
    "cond_stage_model.transformer.": "text_model.encoder.layers.0.layer_norm1.bias",
    "conditioner.embedders.0.transformer.": "text_model.encoder.layers.0.layer_norm1.bias",
    "text_encoders.clip_l.transformer.": "text_model.encoder.layers.0.layer_norm1.bias",
    "text_encoders.clip_g.transformer.": "text_model.encoder.layers.0.layer_norm1.bias",
    "": "text_model.encoder.layers.0.layer_norm1.bias",
}
"""The prefixes a CLIP module may have, and the tensor it is told by there; OpenCLIP's without a prefix comes last."""
_BY_WIDTH = {768: "clip_l", 1024: "clip_h", 1280: "clip_g"}


def _place_in_checkpoint(name: str, base: Base) -> tuple[str, str] | None:
    """(encoder, name within it) of a checkpoint's text encoder tensor."""
    if base == "sd15":
        inner = name.removeprefix("cond_stage_model.transformer.")
        return "clip_l", inner if inner.startswith("text_model.") else f"text_model.{inner}"
    if base == "sdxl":
        if name.startswith("conditioner.embedders.0."):
            return "clip_l", name.removeprefix("conditioner.embedders.0.transformer.")
        return "clip_g", name.removeprefix("conditioner.embedders.1.model.")
    if base in {"sd2", "sdxl-refiner"}:
        prefix = next(prefix for prefix in TEXT_PREFIXES[base] if name.startswith(prefix))
        return encoders_of(base)[0], name.removeprefix(prefix)
    encoder, _, inner = name.removeprefix("text_encoders.").partition(".")
    if encoder not in encoders_of(base) or not inner.startswith("transformer."):
        return None
    return encoder, inner.removeprefix("transformer.")


_OPEN_CLIP = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}
_OPEN_CLIP_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_LAYERS = {"clip_h": 23}
"""SD2's config has one layer less than its file; Forge leaves the last one out."""


def _as_transformers(tensors: StateDict, encoder: str) -> StateDict:
    """OpenCLIP names as transformers' ones, the joint q/k/v projection in thirds; other names stay as they are."""
    found: StateDict = {}
    for name, tensor in tensors.items():
        if name in _OPEN_CLIP:
            found[_OPEN_CLIP[name]] = tensor
        elif name.startswith("transformer.resblocks."):
            _, _, index, inner = name.split(".", 3)
            if int(index) < _LAYERS.get(encoder, 999):
                found.update(_block(f"text_model.encoder.layers.{index}", inner, tensor))
        else:
            found[name] = tensor
    return found


def _block(prefix: str, inner: str, tensor: Tensor) -> StateDict:
    if inner.startswith("attn.in_proj_"):
        leaf = inner.removeprefix("attn.in_proj_")
        third = Tensor(tensor.dtype, (tensor.shape[0] // 3, *tensor.shape[1:]), tensor.nbytes // 3)
        return {f"{prefix}.self_attn.{part}_proj.{leaf}": third for part in "qkv"}
    stem, _, leaf = inner.rpartition(".")
    return {f"{prefix}.{_OPEN_CLIP_BLOCK.get(stem, stem)}.{leaf}": tensor}


_CITY96 = {
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


def _from_city96(name: str) -> str:
    for old, new in _CITY96.items():
        name = name.replace(old, new)
    return name


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
