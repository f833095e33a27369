"""How fast a card is when nothing was measured on it: tensor throughput by name, bus speed by generation and width."""

from __future__ import annotations

import re
from collections.abc import Mapping

TFLOPS: Mapping[str, float] = {
    "RTX 5090": 209, "RTX 5080": 113, "RTX 5070 TI": 88, "RTX 5070": 62, "RTX 5060 TI": 47, "RTX 5060": 38,
    "RTX 4090": 165, "RTX 4080": 97, "RTX 4070 TI": 80, "RTX 4070": 58, "RTX 4060 TI": 44, "RTX 4060": 30,
    "RTX 3090": 71, "RTX 3080 TI": 68, "RTX 3080": 60, "RTX 3070 TI": 43, "RTX 3070": 40, "RTX 3060 TI": 32,
    "RTX 3060": 25, "RTX 3050": 18, "RTX 2080 TI": 54, "RTX 2080": 40, "RTX 2070": 30, "RTX 2060": 26,
    "GTX 1660": 10, "GTX 1650": 6, "GTX 1080 TI": 11, "GTX 1080": 9, "GTX 1070": 6.5, "GTX 1060": 4.4,
    "H100": 790, "H200": 790, "A100": 312, "L40": 181, "RTX 6000 ADA": 182, "RTX A6000": 155, "RTX A5000": 111,
    "RTX A4000": 77, "A10": 125, "L4": 60, "T4": 65, "V100": 125, "P100": 19, "P40": 12,
}  # fmt: skip
"""Dense TFLOPS in half precision with fp32 accumulation, from the makers' data sheets; GTX 10 computes in fp32."""

_BY_GENERATION: Mapping[int, float] = {5: 5, 6: 8, 7: 30, 8: 40, 9: 400, 10: 60, 12: 60}

_LANE: Mapping[int, float] = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.97e9, 5: 3.94e9, 6: 7.56e9}
"""Bytes a second of one PCIe lane by generation."""

PAGEABLE = 7.0e9
"""The most a copy from pageable memory reached, on PCIe 5 (5.9 to 9.2 GB/s observed)."""


_CAPABILITIES: tuple[tuple[str, tuple[int, int]], ...] = (
    (r"RTX 50\d\d|RTX PRO \d", (12, 0)),
    (r"B[23]00", (10, 0)),
    (r"H[12]00|H20\b", (9, 0)),
    (r"RTX 40\d\d|\bL(4|20|40S?)\b|\bADA\b", (8, 9)),
    (r"A100|\bA30\b", (8, 0)),
    (r"RTX 30\d\d|RTX A\d{4}|\bA(2|10|10G|16|40)\b", (8, 6)),
    (r"RTX 20\d\d|GTX 16\d\d|TITAN RTX|QUADRO RTX|\bT(4|[4-6]00|550|1000|1200|2000)\b|MX[45]50|CMP 30HX", (7, 5)),
    (r"V100|TITAN V\b", (7, 0)),
    (r"P100", (6, 0)),
    (r"GTX 10\d\d|GT 1030|TITAN X|\bP\d{1,4}\b", (6, 1)),
    (r"GTX 9\d\d|\bM(40|60)\b", (5, 2)),
)
"""Compute capability by the card's name, from NVIDIA's table of CUDA GPUs; the first match counts."""

_SIZES: Mapping[str, int] = {
    "RTX 5090": 32, "RTX 5080": 16, "RTX 5070 TI": 16, "RTX 5070": 12, "RTX 5060 TI": 16, "RTX 5060": 8,
    "RTX 4090": 24, "RTX 4080": 16, "RTX 4070 TI SUPER": 16, "RTX 4070": 12, "RTX 4060": 8, "RTX 3090": 24,
    "RTX 3080 TI": 12, "RTX 3080": 10, "RTX 3070": 8, "RTX 3060 TI": 8, "RTX 3060": 12, "RTX 3050": 8,
    "RTX 2080 TI": 11, "RTX 2080": 8, "RTX 2070": 8, "RTX 2060": 6, "GTX 1660": 6, "GTX 1650": 4, "GTX 1080 TI": 11,
    "GTX 1080": 8, "GTX 1070": 8, "GTX 1060": 6, "H100": 80, "H200": 141, "A100": 80, "L40": 48, "RTX 6000 ADA": 48,
    "RTX A6000": 48, "RTX A5000": 24, "RTX A4000": 16, "A10": 24, "L4": 24, "T4": 16, "V100": 16, "P100": 16, "P40": 24,
}  # fmt: skip
"""GB a card is usually sold with, where its name does not say."""

_IN_NAME = re.compile(r"\b(\d+) ?GI?B\b")


def capability_of(name: str) -> tuple[int, int] | None:
    """The compute capability of a card by its name, None for one not known here."""
    upper = _plain(name)
    return next((capability for pattern, capability in _CAPABILITIES if re.search(pattern, upper)), None)


def size_of(name: str) -> int | None:
    """MB of a card by its name ("NVIDIA A100-SXM4-40GB" says it itself), None for one not known here."""
    if said := _IN_NAME.search(_plain(name)):
        return int(said[1]) * 1024
    key = _longest(_SIZES, name)
    return None if key is None else _SIZES[key] * 1024


def _plain(name: str) -> str:
    return name.upper().replace("GEFORCE ", "").replace("-", " ")


def _longest(table: Mapping[str, object], name: str) -> str | None:
    """The longest name of a table that is in a card's name."""
    upper = _plain(name)
    return max((key for key in table if key in upper), key=len, default=None)


def tensor_speed(name: str, capability: tuple[int, int]) -> float:
    """FLOPS of a card; the longest name of the table that is in the card's name counts."""
    known = _longest(TFLOPS, name)
    return (TFLOPS[known] if known else _BY_GENERATION.get(capability[0], 40)) * 1e12


def bus_speed(generation: int | None, width: int | None) -> tuple[float, float]:
    """(pinned, pageable) bytes a second over PCIe; generation 4 and 16 lanes where it is not known.

    Observed: 54 to 57 GB/s pinned on PCIe 5 x16 of 63 possible.
    """
    pinned = 0.87 * _LANE.get(generation or 4, _LANE[4]) * (width or 16)
    return pinned, min(0.6 * pinned, PAGEABLE)
