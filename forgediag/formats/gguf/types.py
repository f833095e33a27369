"""The tensor types of GGUF files, and which of them Forge can read and compute."""

from __future__ import annotations

from collections.abc import Mapping

TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 31: ("Q4_0_4_4", 32, 18), 32: ("Q4_0_4_8", 32, 18),
    33: ("Q4_0_8_8", 32, 18), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""Name, elements and bytes of one block by number; the numbers left out were never used or are gone."""

BLOCKS: Mapping[str, tuple[int, int]] = {name: (elements, size) for name, elements, size in TYPES.values()}
"""(elements, bytes) of one block by type."""

FORGE_READS = frozenset(range(34)) & frozenset(TYPES)
"""Types that the GGUF reader in Forge knows (Forge dfdcbab, packages_3rdparty/gguf/constants.py)."""

NEWEST_READS = frozenset(TYPES) - {31, 32, 33}
"""Types that the gguf package 0.19.0 knows."""

ITEMS: Mapping[str, int] = {"F16": 2, "F32": 4, "F64": 8, "I8": 1, "I16": 2, "I32": 4, "I64": 8}
"""Bytes of an element of the types that the reader shows as numbers; all others are bytes to it."""

COMPUTES = frozenset(ITEMS) | {
    "Q2_K", "Q3_K", "Q4_0", "Q4_K", "Q4_1", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "BF16",
}  # fmt: skip
"""Types that Forge can turn into numbers (Forge dfdcbab, backend/operations_gguf.py, `quants_mapping`)."""

SCALES: Mapping[str, tuple[int, ...]] = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,),
    "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,),
}  # fmt: skip
"""Where in a block the fp16 numbers lie that all its values are multiplied by, or moved by (ggml, ggml-common.h)."""
