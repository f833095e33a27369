"""The UNet or transformer that Forge builds for a checkpoint, from the names and shapes of that very file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forgediag.forge.families import FEW, UNET_PREFIX, Base
from forgediag.forge.loading import ldm, transformers
from forgediag.forge.loading.overlay import MaskedError
from forgediag.forge.state_dict import Network, Shape
from forgediag.model import LoadError, Tensor


@dataclass(frozen=True, slots=True)
class Unet:
    """The class's name, as its lines and errors have it, and its layers, or what Forge raises building them."""

    name: str
    network: Network | LoadError


def expected(base: Base, tensors: Mapping[str, Tensor]) -> Unet:
    """What Forge builds (Forge dfdcbab, backend/nn).

    Args:
        base: the family.
        tensors: the checkpoint's, before any module is laid over them; the UNet's names have their prefix.

    Raises:
        MaskedError: Forge fails on its names.
    """
    shapes = _shapes(tensors)
    if base.startswith("sd3"):
        return Unet("MMDiTX", transformers.mmdit(shapes))
    if base == "chroma":
        return Unet("IntegratedChromaTransformer2DModel", transformers.chroma())
    if base.startswith("flux"):
        return Unet("IntegratedFluxTransformer2DModel", transformers.flux(guidance=base == "flux-dev"))
    # eight heads in SD1, heads of 64 channels in the others (huggingface_guess 84826248, model_list.py)
    return Unet(
        "IntegratedUNet2DConditionModel", ldm.network(ldm.config(shapes, UNET_PREFIX), 8 if base == "sd15" else None)
    )


def lookup_failed(tensors: Mapping[str, Tensor]) -> str | None:
    """The exception with which Forge's detection ends on a UNet of no family, None where it just finds none."""
    shapes = _shapes(tensors)
    if len(shapes) > FEW and len(first := shapes.get("input_blocks.0.0.weight", ())) > 1 and first[0]:
        try:
            ldm.config(shapes, UNET_PREFIX)
        except MaskedError as masked:
            return str(masked)
    return None


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    cut = len(UNET_PREFIX)
    return {name[cut:]: tensor.shape for name, tensor in tensors.items() if name.startswith(UNET_PREFIX)}
