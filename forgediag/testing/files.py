"""Model files as small or as large as a test needs: real headers over sparse data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from forgediag.formats.safetensors import SIZES
from forgediag.formats.tail import BLOCK, SAMPLES

_EVERY = 4
"""Of the places that are looked at for zeros, how many there are for each that holds something."""

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""Dtype and shape of each tensor by its name."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A window of `size` bytes that begins with `head` and is zero from there on."""

    head: bytes
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """A piece of it."""
        length = max(0, min(length, self.size - offset))
        piece = self.head[offset : offset + length]
        return piece + bytes(length - len(piece))


def safetensors_header(tensors: Shapes, metadata: Mapping[str, str] | None = None) -> tuple[bytes, int]:
    """The first bytes of a safetensors file with these tensors, and the whole file's size in bytes."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, (dtype, shape) in tensors.items():
        end = position + math.prod(shape) * SIZES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    raw = json.dumps(entries, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw, 8 + len(raw) + position


def write_safetensors(path: Path, tensors: Shapes, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a whole safetensors file whose weights are a hole on the disk: 24 GB cost a few KB."""
    head, size = safetensors_header(tensors, metadata)
    return write_sparse(path, head, size)


def write_sparse(path: Path, head: bytes, size: int, *, end: bytes = b"\x3c" * 4096) -> Path:
    """Write a file of `size` bytes that begins with `head`, is mostly holes from there on, and ends in `end`.

    A hole up to the end would be what an unfinished download leaves, and so would be one without anything in between.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
        if end and size >= len(head) + SAMPLES * BLOCK:
            _fill(file, len(head), size - len(end), size)
        if end and size >= len(head) + len(end):
            file.seek(size - len(end))
            file.write(end)
    return path


def _fill(file: BinaryIO, begin: int, end: int, size: int) -> None:
    for number in range(_EVERY, SAMPLES, _EVERY):
        place = (size - BLOCK) * number // (SAMPLES - 1)
        if begin < place <= end - BLOCK:
            file.seek(place)
            file.write(b"\x3c" * BLOCK)


def vae_shapes(
    latent_channels: int = 4, prefix: str = "", dtype: str = "F16"
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The tensors of a VAE that tell its latent channels, plus enough others that Forge takes it for one.

    Shapes as Forge's IntegratedAutoencoderKL has them (commit dfdcbab): `encoder.conv_out` has two channels
    for each latent channel, `decoder.conv_in` one.
    """
    shapes = {
        "encoder.conv_in.weight": (dtype, (128, 3, 3, 3)),
        "encoder.conv_out.weight": (dtype, (2 * latent_channels, 512, 3, 3)),
        "encoder.conv_out.bias": (dtype, (2 * latent_channels,)),
        "decoder.conv_in.weight": (dtype, (512, latent_channels, 3, 3)),
        "decoder.conv_in.bias": (dtype, (512,)),
    }
    norms = {f"decoder.up.{i}.block.0.norm1.weight": (dtype, (128,)) for i in range(16)}
    return {prefix + name: value for name, value in {**shapes, **norms}.items()}
