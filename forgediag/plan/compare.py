"""The same model in other storage types, side by side on one card: what each takes, costs and needs set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forgediag.forge.dtypes import FP4, NF4, QUANTISED, elements, stored_type
from forgediag.forge.families import UNET, UNET_PREFIX, detect
from forgediag.formats.gguf import BLOCKS
from forgediag.model import MB, Advice, Fork, Gap, Header, Tensor
from forgediag.plan.predict import prepare
from forgediag.plan.recommend import recommend
from forgediag.plan.request import Request
from forgediag.plan.speed import Speed

GGUF_TYPES = ("Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q4_0", "Q3_K", "Q2_K")
"""Types a transformer is commonly published in, largest first."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One storage type of a model. `same` is the type the file has; `advice` its best settings, None if it has none."""

    storage: str
    require_mb: float
    same: bool
    advice: Advice | None
    reason: str = ""


def compare(request: Request, *, speed: Speed | None = None, fork: Fork = "forge") -> tuple[Variant, ...]:
    """The model as it is, then in every type it could have, each with its own best settings. Empty if not a model.

    Forge can store a plain file in fp8 or nf4, a quantised one only as it is; GGUF types are other files. A 4-bit
    file does not tell the shapes the others would have.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    found = detect(request.checkpoint)
    if found.base is None:
        return ()
    prefix = "" if found.bare else UNET_PREFIX
    stored = stored_type({name: t for name, t in request.checkpoint.tensors.items() if name.startswith(prefix)})
    requests = [("", request)]
    if stored not in QUANTISED:
        options = ["float8_e4m3fn"] if found.base.startswith("sd") else ["float8_e4m3fn", "nf4"]
        requests += [(name, replace(request, storage=name)) for name in options]
    if not found.base.startswith(("sd15", "sd2", "sdxl")) and stored not in {NF4, FP4}:
        requests += [
            (f"gguf:{kind}", replace(request, checkpoint=requantised(request.checkpoint, kind, prefix), storage=None))
            for kind in GGUF_TYPES
        ]
    return tuple(_distinct([_variant(one, speed, fork, same=not name) for name, one in requests]))


def _variant(request: Request, speed: Speed | None, fork: Fork, *, same: bool) -> Variant:
    prepared = prepare(request)
    unet = prepared.components.parts.get(UNET)
    advice = recommend(request, speed=speed, fork=fork, prepared=prepared)
    storage, size = ("", 0.0) if unet is None else (unet.storage, unet.stages.used.size / MB)
    if isinstance(advice, Gap):
        return Variant(storage, round(size, 2), same, None, advice.reason)
    return Variant(storage, round(size, 2), same, advice)


def _distinct(variants: Sequence[Variant]) -> list[Variant]:
    """Without a second row for the type the file already has."""
    seen: dict[str, Variant] = {}
    for variant in variants:
        seen.setdefault(variant.storage, variant)
    return list(seen.values())


def requantised(header: Header, kind: str, prefix: str) -> Header:
    """The header a GGUF of this type would have: matrices of the UNet quantised, the rest in F16.

    Rows that are no multiple of the type's block stay F16 (city96's layout, which most published files have).
    """
    block, size = BLOCKS[kind]
    tensors: dict[str, Tensor] = {}
    for name, tensor in header.tensors.items():
        if not name.startswith(prefix) or ".weight." in name:
            continue
        count = elements(tensor.shape)
        fits = name.endswith(".weight") and len(tensor.shape) == 2 and tensor.shape[1] % block == 0
        tensors[name] = (
            Tensor(f"GGUF:{kind}", tensor.shape, count // block * size)
            if fits
            else Tensor("GGUF:F16", tensor.shape, count * 2)
        )
    others = {name: t for name, t in header.tensors.items() if prefix and not name.startswith(prefix)}
    return Header("gguf", tensors | others, header.metadata)
