"""GGUF headers, whole, damaged and cut off."""

from __future__ import annotations

import struct

import pytest

from forgediag.formats.gguf import GgufError, read_gguf
from forgediag.model import Tensor


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(name: str, shape: tuple[int, ...], kind: int, offset: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", length) for length in reversed(shape))
    return text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, offset)


def gguf(tensors: list[bytes], keys: list[bytes], version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)


KEYS = [
    text("general.architecture") + struct.pack("<I", 8) + text("flux"),
    text("general.file_type") + struct.pack("<II", 4, 7),
    text("numbers") + struct.pack("<IIQ3I", 9, 4, 3, 1, 2, 3),
    text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
]
WHOLE = gguf([entry("a.weight", (64, 256), 12), entry("a.bias", (64,), 0), entry("s", (), 30)], KEYS)


def test_names_types_shapes_and_sizes_are_read() -> None:
    header = read_gguf(WHOLE)
    assert header.format == "gguf"
    assert header.metadata == {"general.architecture": "flux"}
    assert header.tensors == {
        "a.weight": Tensor("GGUF:Q4_K", (64, 256), 64 * 144),
        "a.bias": Tensor("GGUF:F32", (64,), 256),
        "s": Tensor("GGUF:BF16", (), 2),
    }


def test_version_2_is_read() -> None:
    assert read_gguf(gguf([entry("x", (32,), 8)], [], version=2)).tensors["x"] == Tensor("GGUF:Q8_0", (32,), 34)


@pytest.mark.parametrize("length", [*range(4, len(WHOLE), 7), len(WHOLE) - 1])
def test_a_cut_header_asks_for_more(length: int) -> None:
    with pytest.raises(GgufError) as caught:
        read_gguf(WHOLE[:length])
    assert caught.value.short


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(20), "not a GGUF file"),
        (gguf([], [], version=1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), "cannot be right"),
        (gguf([], [text("k") + struct.pack("<I", 99)]), "metadata type 99"),
        (gguf([entry("x", (1,) * 9, 0)], []), "9 dimensions"),
        (gguf([entry("x", (32,), 99)], []), "type 99"),
        (gguf([entry("x", (32,), 4)], []), "type 4"),
    ],
)
def test_damage_is_named(data: bytes, words: str) -> None:
    with pytest.raises(GgufError, match=words) as caught:
        read_gguf(data)
    assert not caught.value.short
