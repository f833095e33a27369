"""How fast a card is when nothing was measured on it: tensor throughput by name, bus speed by generation and width."""

from __future__ import annotations

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


def tensor_speed(name: str, capability: tuple[int, int]) -> float:
    """FLOPS of a card; the longest name of the table that is in the card's name counts."""
    upper = name.upper().replace("GEFORCE ", "").replace("-", " ")
    known = max((key for key in TFLOPS if key in upper), key=len, default=None)
    return (TFLOPS[known] if known else _BY_GENERATION.get(capability[0], 40)) * 1e12


def bus_speed(generation: int | None, width: int | None) -> tuple[float, float]:
    """(pinned, pageable) bytes a second over PCIe; generation 4 and 16 lanes where it is not known.

    Observed: 54 to 57 GB/s pinned on PCIe 5 x16 of 63 possible.
    """
    pinned = 0.87 * _LANE.get(generation or 4, _LANE[4]) * (width or 16)
    return pinned, min(0.6 * pinned, PAGEABLE)
