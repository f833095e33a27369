"""The UNet or transformer as Forge builds it: its layers in a storage type, over their life."""

from __future__ import annotations

from collections.abc import Mapping

from forgediag.forge import dtypes
from forgediag.forge.families import Base
from forgediag.forge.layers import Life, layer, linear, modules, plain
from forgediag.forge.parts import Stages
from forgediag.model import Tensor

_FLUX = frozenset({"flux-dev", "flux-schnell", "chroma"})


def unet_stages(base: Base, tensors: Mapping[str, Tensor], storage: str, computation: str) -> Stages:
    """A KModel from the tensors of a UNet, named without their prefix.

    Plain storage casts every float to the storage type. Quantised storage keeps linear layers as they are, puts
    convolutions and norms into the computation type and leaves RMS norms in fp32. Flux's RMS norms take the
    computation type at the first forward pass (Forge dfdcbab, backend/loader.py, operations.py, nn/flux.py).
    """
    quantised = storage in dtypes.QUANTISED
    others = plain(dtypes.SIZE[computation if quantised else storage])
    norms = plain(4) if quantised else others
    layers: list[Life] = []
    buffers: list[int] = []
    for path, leaves in modules(tensors).items():
        if not path:
            if position := leaves.get("pos_embed"):
                buffers.append(dtypes.elements(position.shape) * (4 if quantised else dtypes.SIZE[storage]))
        elif "scale" in leaves:
            made = layer(path, leaves, norms, legacy=True)
            used = layer(path, leaves, plain(dtypes.SIZE[computation]), legacy=True)
            layers.append((made, made, used))
        elif base.startswith("sd3") and path.endswith((".ln_q", ".ln_k")):
            made = layer(path, leaves, norms, legacy=True)
            layers.append((made, made, made))
        elif quantised and "weight" in leaves and len(leaves["weight"].shape) == 2:
            layers.append(linear(path, leaves, storage, computation))
        else:
            made = layer(path, leaves, others)
            layers.append((made, made, made))
    return Stages.of(layers, (), tuple(buffers), _SCHEDULES.get(base, (4000, 4000, 4000)))


_SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "sd3": (4000,),
    "sd3.5-medium": (4000,),
    "sd3.5-large": (4000,),
    **dict.fromkeys(_FLUX, (40000,)),
}
"""Bytes of the noise schedule's buffers, which move with the whole model (backend/modules/k_prediction.py)."""
