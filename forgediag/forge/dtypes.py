"""Storage and computation types Forge picks for a card, and how many bytes each type takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from forgediag.forge.families import Base
from forgediag.model import MB, Tensor

FP32, FP16, BF16, E4M3, E5M2 = "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"
NF4, FP4, GGUF = "nf4", "fp4", "gguf"
QUANTISED = frozenset({NF4, FP4, GGUF})

SIZE: Mapping[str, int] = {FP32: 4, FP16: 2, BF16: 2, E4M3: 1, E5M2: 1, "int8": 1, "uint8": 1, "float64": 8, "int64": 8}
"""Bytes an element takes, by torch's name of the type."""

_SPELLINGS: Mapping[str, str] = {
    "F64": "float64", "F32": FP32, "F16": FP16, "BF16": BF16, "F8_E4M3": E4M3, "F8_E5M2": E5M2, "U8": "uint8",
    "I8": "int8", "I64": "int64", "float8-e4m3fn": E4M3, "float8-e5m2": E5M2, "fp8_e4m3fn": E4M3, "fp8_e5m2": E5M2,
    "bnb-nf4": NF4, "bnb-fp4": FP4, "fp32": FP32, "fp16": FP16, "bf16": BF16, "fp8": E4M3,
}  # fmt: skip
"""File (safetensors) and Forge option spellings of torch's names."""

GGUF_QUANTS = frozenset({"Q2_K", "Q3_K", "Q4_0", "Q4_K", "Q4_1", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "BF16"})
"""Types Forge can compute with (Forge dfdcbab, backend/operations_gguf.py); F32 and F16 are plain tensors to it."""

GGUF_BAKED: Mapping[str, tuple[int, int]] = {"Q4_K": (144, 160)}
"""Bytes of a block before and after the first load (packages_3rdparty/gguf/quants.py, `bake_inner`)."""


def torch_name(spelling: str) -> str:
    """Torch's name for a file's or an option's spelling; what is not known is returned as it is ("GGUF:Q8_0")."""
    return _SPELLINGS.get(spelling, spelling)


def storage_name(option: str | None) -> str | None:
    """What `forge_unet_storage_dtype` sets, None for automatic.

    Forge's menu also has spellings with " (fp16 LoRA)" behind the type; they differ for LoRAs only.
    """
    plain = (option or "Automatic").removesuffix(" (fp16 LoRA)")
    return None if plain.lower() in {"automatic", "none", "auto"} else torch_name(plain)


def elements(shape: tuple[int, ...]) -> int:
    """Elements of a shape."""
    count = 1
    for length in shape:
        count *= length
    return count


@dataclass(frozen=True, slots=True)
class Device:
    """The card as Forge's type rules see it. Capability as (major, minor), name as NVML and torch spell it."""

    capability: tuple[int, int] = (8, 9)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What else the type rules look at when a model is loaded: free and reserved bytes, and Forge's start flags.

    Flags are spelled as Forge's attributes: "unet_in_bf16", "all_in_fp32", "always_low_vram".
    """

    free: int
    inference: int
    flags: frozenset[str] = frozenset()


_GTX10 = (
    "1080", "1070", "titan x", "p3000", "p3200", "p4000", "p4200", "p5000", "p5200", "p6000", "1060", "1050", "p40",
    "p100", "p6", "p4",
)  # fmt: skip
_GTX16 = (
    "1660", "1650", "1630", "T500", "T550", "T600", "MX550", "MX450", "CMP 30HX", "T2000", "T1000", "T1200",
)  # fmt: skip
"""Cards Forge knows by name (backend/memory_management.py, should_use_fp16)."""


def uses_fp16(device: Device, moment: Moment, params: int = 0, *, storage: bool = False, speed: bool = True) -> bool:
    """Forge's should_use_fp16: for storage (`manual_cast`) or computation, with speed or memory first."""
    if "all_in_fp16" in moment.flags:
        return True
    if "all_in_fp32" in moment.flags:
        return False
    major = device.capability[0]
    if major >= 8 or major < 6:
        return major >= 8
    if any(card in device.name.lower() for card in _GTX10):
        if not storage:
            return False
        if not speed or _tight(params, moment):
            return True
    return major >= 7 and not any(card in device.name for card in _GTX16)


def uses_bf16(device: Device, moment: Moment, params: int = 0, *, storage: bool = False) -> bool:
    """Forge's should_use_bf16; before Ampere bf16 is for storage only, when memory is tight."""
    if "all_in_fp32" in moment.flags:
        return False
    return device.capability[0] >= 8 or (storage and _tight(params, moment))


def _tight(params: int, moment: Moment) -> bool:
    return params * 4 > moment.free * 0.9 - moment.inference


def _preferred(base: Base) -> tuple[str, ...]:
    return (BF16, FP16) if base in {"flux-dev", "flux-schnell", "chroma"} else (FP16, BF16)


def _first(base: Base, device: Device, moment: Moment, params: int, *, storage: bool) -> str:
    for candidate in _preferred(base):
        rule = uses_fp16 if candidate == FP16 else uses_bf16
        if rule(device, moment, params, storage=storage):
            return candidate
    return FP32


def computation_type(base: Base, device: Device, moment: Moment, params: int) -> str:
    """The UNet's computation type (get_computation_dtype)."""
    return _first(base, device, moment, params, storage=False)


_UNET_FLAGS = {"unet_in_bf16": BF16, "unet_in_fp16": FP16, "unet_in_fp8_e4m3fn": E4M3, "unet_in_fp8_e5m2": E5M2}
_CLIP_FLAGS = {"clip_in_fp8_e4m3fn": E4M3, "clip_in_fp8_e5m2": E5M2, "clip_in_fp16": FP16, "clip_in_fp32": FP32}
_VAE_FLAGS = {"vae_in_fp16": FP16, "vae_in_bf16": BF16, "vae_in_fp32": FP32}


def storage_type(
    base: Base, device: Device, moment: Moment, params: int, stored: str, override: str | None = None
) -> str:
    """The UNet's storage type: the option, else a quantised or fp8 file's own, else flag or card (unet_dtype)."""
    if override is not None:
        return override
    if stored in QUANTISED or stored in {E4M3, E5M2}:
        return stored
    return _flag(_UNET_FLAGS, moment) or _first(base, device, moment, params, storage=True)


def text_encoder_type(moment: Moment) -> str:
    """Storage type of the text encoders (text_encoder_dtype)."""
    return _flag(_CLIP_FLAGS, moment) or FP16


def vae_type(device: Device, moment: Moment) -> str:
    """Storage and computation type of the VAE (vae_dtype without a list of allowed types)."""
    if flagged := _flag(_VAE_FLAGS, moment):
        return flagged
    return BF16 if device.capability[0] >= 8 and "vae_in_cpu" not in moment.flags else FP32


def _flag(table: Mapping[str, str], moment: Moment) -> str | None:
    return next((name for flag, name in table.items() if flag in moment.flags), None)


def stored_type(tensors: Mapping[str, Tensor]) -> str:
    """What a state dict is stored in, as Forge sees it (state_dict_dtype): quantised, or the most frequent type."""
    for name, tensor in tensors.items():
        if tensor.dtype.startswith("GGUF:"):
            return GGUF
        if "bitsandbytes__nf4" in name:
            return NF4
        if "bitsandbytes__fp4" in name:
            return FP4
    counts = Counter(torch_name(tensor.dtype) for tensor in tensors.values())
    return max(counts, key=counts.__getitem__, default=FP16)


def mb(count: float) -> float:
    """Bytes in MB, as Forge prints them."""
    return count / MB
