"""Which parts Forge builds from a checkpoint and its additional modules, and what it says when one is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgediag.forge import dtypes
from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE, Base, Detection, Part, detect
from forgediag.forge.layers import layer, modules, plain, total_elements
from forgediag.forge.loading import UNRECOGNISED, File, predict
from forgediag.forge.loading.build import ENOUGH, TEXT_ENCODERS
from forgediag.forge.loading.networks import CLIPS
from forgediag.forge.loading.overlay import MaskedError
from forgediag.forge.loading.play import ordered
from forgediag.forge.loading.split import group_of, split, unet_name
from forgediag.forge.parts import Stages
from forgediag.forge.text_encoders import TextParts, encoders_of, t5_storage, text_stages
from forgediag.forge.unet import unet_stages
from forgediag.model import Gap, Header, LoadError, Tensor

StateDict = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Component:
    """One part as Forge builds it: type of its weights and of its computation, and its layers."""

    target: Part
    storage: str
    computation: str
    parameters: int
    stages: Stages

    @property
    def require(self) -> float:
        """Bytes Forge prints as "Model Require" of the first load."""
        return self.stages.fresh.size


@dataclass(frozen=True, slots=True)
class Components:
    """What comes of the files. A part that cannot be built is absent, `error` says what Forge raises and `why`."""

    detection: Detection
    parts: Mapping[Part, Component]
    error: LoadError | None = None
    unet_parameters: int = 0
    warnings: tuple[str, ...] = ()
    why: str = ""


def build(
    checkpoint: Header,
    modules_: Sequence[Header],
    *,
    device: Device,
    moment: Moment,
    storage: str | None = None,
    name: str = "this file",
) -> Components:
    """The parts Forge loads from these headers.

    `storage` is the option `forge_unet_storage_dtype`, None or "Automatic" for the file's own. Sizes are those of the
    first load; what the parts become in use is in their stages.
    """
    found = detect(checkpoint)
    named = [File(f"module {number}", header) for number, header in enumerate(modules_, 1)]
    made = predict(File(name, checkpoint), named)
    error, why = (None, "") if isinstance(made, Gap) else (made.error, made.cause)
    if found.base is None:
        return Components(found, {}, error or LoadError("ValueError", UNRECOGNISED), why=why)
    dicts = state_dicts(checkpoint, modules_, found.base)
    stored = dtypes.stored_type(dicts.unet)
    params = total_elements(dicts.unet.values())
    computation = dtypes.computation_type(found.base, device, moment, params)
    kept = dtypes.storage_type(found.base, device, moment, params, stored, dtypes.storage_name(storage))
    parts: dict[Part, Component] = {}
    absent = _absent(found.base, dicts)
    if not {"CLIP", "T5"} & set(absent):
        text = dtypes.text_encoder_type(moment)
        stages = text_stages(found.base, dicts.text, text)
        label, params_ = _text_label(dicts.text.of("t5xxl"), text), total_elements(dicts.text.tensors())
        parts[TEXT_ENCODER] = Component(TEXT_ENCODER, label, dtypes.FP32, params_, stages)
    if "model" not in absent:
        stages = unet_stages(found.base, dicts.unet, kept, computation)
        parts[UNET] = Component(UNET, _label(dicts.unet, kept), computation, params, stages)
    if "VAE" not in absent:
        cast = dtypes.vae_type(device, moment)
        parts[VAE] = Component(VAE, cast, cast, total_elements(dicts.vae.values()), _vae_stages(dicts.vae, cast))
    return Components(found, parts, error, params, _unreadable(dicts.unet), why)


@dataclass(frozen=True, slots=True)
class StateDicts:
    """Tensors of every part without their prefixes, after the modules have replaced what they replace."""

    unet: StateDict
    vae: StateDict
    text: TextParts


def state_dicts(checkpoint: Header, modules_: Sequence[Header], base: Base) -> StateDicts:
    """Split a checkpoint and overlay its modules; where Forge fails on a module's names, without the modules."""
    named = [ordered(header, by_name=False) for header in modules_]
    try:
        parts = split(ordered(checkpoint, by_name=False), named, base)
    except MaskedError:
        parts = split(ordered(checkpoint, by_name=False), (), base)
    text = {
        encoder: _used(encoder, parts.dicts.get(component, {}))
        for component, encoder in TEXT_ENCODERS["flux" if base == "chroma" else group_of(base)].items()
    }
    return StateDicts(parts.dicts[unet_name(base)], parts.dicts["vae"], TextParts(text))


_LAYER = re.compile(r"text_model\.encoder\.layers\.(\d+)\.")


def _used(encoder: str, tensors: Mapping[str, Tensor]) -> StateDict:
    """The tensors by their names within the encoder, without layers it has none for (SD2's file has one too many)."""
    layers = CLIPS[encoder][1] if encoder in CLIPS else 0
    found = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return {
        name: tensor
        for name, tensor in found.items()
        if (match := _LAYER.match(name)) is None or int(match[1]) < layers
    }


_VAE_ROOTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


def _vae_stages(tensors: Mapping[str, Tensor], cast: str) -> Stages:
    measure = plain(dtypes.SIZE[cast])
    used = {name: tensor for name, tensor in tensors.items() if name.startswith(_VAE_ROOTS)}
    made = [layer(path, leaves, measure) for path, leaves in modules(used).items()]
    return Stages.of([(item, item, item) for item in made])


def _absent(base: Base, dicts: StateDicts) -> list[str]:
    """Kinds of state dicts Forge finds empty, in the order in which it builds the parts (its model_index.json)."""
    kinds = ["T5" if name == "t5xxl" else "CLIP" for name in encoders_of(base) if len(dicts.text.of(name)) <= ENOUGH]
    if len(dicts.unet) <= ENOUGH:
        kinds.append("model")
    if len(dicts.vae) <= ENOUGH:
        kinds.append("VAE")
    return kinds


def _label(unet: Mapping[str, Tensor], kept: str) -> str:
    """The storage name with the GGUF type that holds most bytes: "gguf:Q8_0"."""
    if kept != dtypes.GGUF:
        return kept
    held: dict[str, int] = {}
    for tensor in unet.values():
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.nbytes
    return "gguf:" + max(held, key=held.__getitem__).removeprefix("GGUF:")


def _text_label(t5: Mapping[str, Tensor], text: str) -> str:
    """The type most bytes of the encoders are stored in: T5's own when it is quantised or fp8."""
    return _label(t5, t5_storage(t5, text)) if t5 else text


def _unreadable(unet: Mapping[str, Tensor]) -> tuple[str, ...]:
    types = {t.dtype[5:] for t in unet.values() if t.dtype.startswith("GGUF:")}
    bad = sorted(types - dtypes.GGUF_QUANTS - {"F16", "F32"})
    return (f"Forge cannot compute with GGUF type {', '.join(bad)}",) if bad else ()
