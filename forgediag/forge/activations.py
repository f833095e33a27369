"""Memory a phase needs beside the weights: activations, workspaces, copies in flight. Observed on a real Forge."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from forgediag.forge.families import Base
from forgediag.model import MB

BASE = 40 * MB
"""Allocated before the first weight: cuBLAS' workspace and the prompt's conditionings (32 to 44 MB observed)."""

FIRST_KERNELS = 80 * MB
"""What the first text encoding of a process takes more than a later one (59 to 79 MB observed)."""

Curve = tuple[tuple[float, float], ...]

_PIXELS: Mapping[str, Curve] = {
    "sd15": ((0.5, 126.5), (1.125, 288.7), (2.0, 504.5), (4.0, 1011.8)),
    "sd2": ((0.5, 126.5), (1.125, 288.7), (2.0, 504.5), (4.0, 1011.8)),
    "sdxl": ((0.5, 92.1), (1.125, 178.4), (2.0, 310.3), (2.25, 352.0), (4.5, 697.2), (8.0, 1234.5)),
    "sdxl-refiner": ((0.5, 107.0), (2.0, 373.0), (8.0, 1485.0)),
}
"""MB by megapixels x images in one forward pass, computed in 2 bytes. SD1.5 and SDXL observed on a real card; the
refiner's from a count of live tensors in Forge's network, with what SDXL had more; SD2 as SD1.5."""

_FLUX: Curve = ((1280, 215.0), (4352, 588.0), (8704, 1167.5), (9472, 1269.5), (16640, 2218.0))
_TOKENS: Mapping[str, Curve] = {
    "flux-dev": _FLUX,
    "flux-schnell": _FLUX,
    "chroma": _FLUX,
    "sd3": ((1357, 125.0), (4429, 375.0), (16717, 1390.0)),
    "sd3.5-medium": ((1357, 125.0), (4429, 375.0), (16717, 1390.0)),
    "sd3.5-large": ((1357, 145.0), (4429, 435.0), (16717, 1615.0)),
}
"""MB by tokens x images in one forward pass. Flux observed on a real card; Chroma as Flux; SD3 from a count of live
tensors (0.0813 and 0.0944 MB a token), 4 % added as for Flux."""

_TEXT_TOKENS = {"sd3": 333, "sd3.5-medium": 333, "sd3.5-large": 333}


def _curve(points: Curve, value: float) -> float:
    """Linear between the points and beyond the last; below the first in proportion, but at least six tenths of it."""
    first, last = points[0], points[-1]
    if value <= first[0]:
        return first[1] * max(0.6, value / first[0])
    index = min(bisect_left([x for x, _ in points], value), len(points) - 1)
    (x0, y0), (x1, y1) = points[index - 1], points[index] if value <= last[0] else last
    return y0 + (y1 - y0) * (value - x0) / (x1 - x0)


def sampling(base: Base, size: tuple[int, int], images: int, element: int, largest_swapped: float = 0) -> float:
    """Bytes one forward pass takes for `images` images of `size` pixels, computed in types of `element` bytes.

    `largest_swapped` is the largest layer that comes over the bus, in the computation type: at small sizes its copy
    shows in the peak.
    """
    width, height = size
    if base in _PIXELS:
        live, rest = _curve(_PIXELS[base], width * height * images / MB), 0.74
    else:
        tokens = width * height / 256 + _TEXT_TOKENS.get(base, 256)
        live, rest = _curve(_TOKENS[base], tokens * images), 0.6
    bytes_ = live * MB * element / 2
    return max(bytes_, rest * bytes_ + largest_swapped) if largest_swapped else bytes_


DECODE, DECODE_BARE, ENCODE = 2178.0, 1280.0, 1310.0
"""MB a megapixel in bf16: VAE decode with cuDNN's workspace and without, encode with it."""

TILED = 560 * MB
"""A tiled decode: 64x64 latents at a time."""

_TIGHT = 1.3
"""cuDNN did without its workspace with 1.27 times the need free, and used it with 1.42 times."""


def decoding(size: tuple[int, int], images: int, element: int, free: float) -> tuple[float, bool]:
    """(bytes, tiled) of a VAE decode of `images` at once with so much free: cuDNN's workspace is the first to go.

    When even the bare decode does not fit, Forge catches the out-of-memory and decodes in tiles.
    """
    megapixels = size[0] * size[1] * images / MB * element / 2
    full, bare = DECODE * megapixels * MB, DECODE_BARE * megapixels * MB
    if free >= _TIGHT * full:
        return full, False
    if free >= bare * 1.05:
        return bare, False
    return TILED * element / 2, True


def encoding(size: tuple[int, int], images: int, element: int) -> float:
    """Bytes of a VAE encode."""
    return ENCODE * size[0] * size[1] * images / MB * element / 2 * MB


def decode_images(batch: int, free: float, estimate: float) -> int:
    """Images Forge decodes at once: as many as its estimate fits into what is free (backend/patcher/vae.py)."""
    return min(batch, max(1, int(free / estimate)))


def text(encoders: Sequence[str], batch: int) -> float:
    """Bytes of encoding one prompt; encoders compute in fp32, and T5 casts a layer of 160 MB at a time."""
    clip = {"clip_l": 13.0 + 4.4 * (batch - 1), "clip_h": 30.0 + 11 * (batch - 1), "clip_g": 40.5 + 14 * (batch - 1)}
    live = max(clip.get(name, 0.0) for name in encoders)
    return (max(live, 211.0) if "t5xxl" in encoders else live) * MB


def in_flight(swapped: float, storage: float, computation: float) -> float:
    """The most bytes Async can have under way: every swapped layer, already in the computation type.

    Nothing bounds the copies: a layer's copy is let go only when an event says that it was used (Forge dfdcbab,
    backend/operations.py). Observed: 2.5 to 10.2 GB, and once all 2520 MB that were swapped.
    """
    return swapped * max(1.0, computation / storage)
