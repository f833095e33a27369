"""GGUF files for each rule of the format, with the one right finding."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from forgediag.formats.gguf.types import COMPUTES, FORGE_READS, TYPES
from forgediag.testing.gguf import assembled, gguf_header, info, key, text

Made = tuple[str, bytes, int, str | None]
"""A label, the file's beginning, its size, and the finding."""


def _one(kind: int = 8, offset: int = 0, shape: tuple[int, ...] = (256,)) -> list[bytes]:
    return [info("x", shape, kind, offset)]


def gguf_cases() -> Iterator[Made]:
    """All of them."""
    yield from _types()
    yield from _sizes()
    for label, head, room, finding in _damage():
        yield f"gguf-{label}", head, len(head) + room, finding


def _types() -> Iterator[Made]:
    for number, (name, _, _) in TYPES.items():
        head, size = gguf_header([("x", (2, 256), number), ("y", (256,), 0)])
        finding = None if name in COMPUTES else "gguf-type-forge"
        yield f"gguf-type-{name}", head, size, finding if number in FORGE_READS else "gguf-type"


def _sizes() -> Iterator[Made]:
    for label, rows in {"small": 1, "mib": 2048, "gib": 4 * 2**20, "gib24": 24 * 2**20}.items():
        for version in (2, 3):
            head, size = gguf_header([("x", (rows, 1024), 0), ("y", (32,), 0)], version=version)
            yield f"gguf-v{version}-{label}", head, size, None
        yield f"gguf-cut-{label}", head, size - 100, "data-cut"
        yield f"gguf-cut-data-{label}", head, len(head), "data-cut"
        yield f"gguf-extra-{label}", head, size + 100, "data-extra"
        yield f"gguf-cut-header-{label}", head[:90], 90, "gguf-cut"


def _damage() -> Iterator[tuple[str, bytes, int, str | None]]:
    yield "aligned-64", gguf_header([("x", (32,), 8)], {"general.alignment": 64}, alignment=64)[0], 64, None
    yield "no-tensors", gguf_header([])[0], 0, None
    for version in (0, 1, 4, 255):
        yield f"version-{version}", assembled(_one(), [], version), 272, "gguf-version"
    yield "big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0), 0, "gguf-byte-order"
    yield "tensor-count", b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), 500, "gguf-count"
    yield "key-count", b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 50), 500, "gguf-count"
    yield "list-length", assembled(_one(), [text("k") + struct.pack("<IIQ", 9, 4, 1 << 40)]), 500, "gguf-count"
    yield "list-type", assembled(_one(), [text("k") + struct.pack("<IIQ", 9, 13, 1)]), 500, "gguf-header"
    yield "key-type", assembled(_one(), [text("k") + struct.pack("<I", 13)]), 500, "gguf-header"
    yield "key-length", assembled(_one(), [struct.pack("<Q", 1 << 62)]), 500, "gguf-header"
    yield "key-encoding", assembled(_one(), [key(b"\xff", 1)]), 500, "gguf-header"
    yield "key-twice", assembled(_one(), [key("k", 1), key("k", 2)]), 500, "gguf-duplicate"
    yield "tensor-twice", assembled(_one() + _one(offset=288), []), 576, "gguf-duplicate"
    yield "name-length", assembled([struct.pack("<Q", 1 << 62) + bytes(40)], []), 500, "gguf-header"
    yield "name-encoding", assembled([info(b"\xff", (256,), 8, 0)], []), 288, "gguf-header"
    for number in (4, 5, 36, 99, 2**31):
        yield f"type-{number}", assembled(_one(number), []), 500, "gguf-type"
    yield "row-33", assembled(_one(shape=(33,)), []), 500, "gguf-shape"
    yield "nine-dimensions", assembled(_one(0, shape=(1,) * 9), []), 500, "gguf-shape"
    yield "shape-overflow", assembled(_one(0, shape=(1 << 63, 2)), []), 500, "gguf-shape"
    for alignment in (0, 33):
        keys = [key("general.alignment", alignment)]
        yield f"alignment-{alignment}", assembled(_one(), keys), 288, "gguf-alignment"
    yield "alignment-text", assembled(_one(), [key("general.alignment", "32")]), 288, "gguf-alignment"
    yield "offset-past-end", assembled(_one(offset=1 << 40), []), 288, "data-cut"
    yield "offset-unaligned", assembled(_one(offset=4), []), 300, "gguf-offsets"
    yield "overlap", assembled([*_one(), info("y", (256,), 8, 32)], []), 320, "gguf-offsets"
    yield "hole", assembled([*_one(), info("y", (256,), 8, 1024)], []), 1312, "gguf-offsets"
    yield "split", assembled(_one(), [text("split.count") + struct.pack("<IH", 2, 3)]), 288, "gguf-split"
    head, size = gguf_header([("x", (32,), 8)])
    yield "two", head + b"\1" * (size - len(head)) + head, 64, "two-files"
