"""The element types of safetensors files."""

from __future__ import annotations

SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("F64", "I64", "U64"), 8),
}
"""Bytes an element of each dtype takes that safetensors 0.4.2, the version Forge pins, knows."""

NEWER_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64}
"""Bits an element takes of each dtype that safetensors 0.8.0 reads and 0.4.2 takes for a broken header."""

BITS = {**{name: 8 * size for name, size in SIZES.items()}, **NEWER_BITS}
"""Bits an element of each dtype takes that safetensors 0.8.0 knows."""
