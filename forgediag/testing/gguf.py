"""GGUF files, good ones and ones with a chosen fault."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

from forgediag.formats.gguf.types import TYPES

Row = tuple[str, Sequence[int], int]
"""A tensor's name, shape in torch's order, and type number."""

_NUMBERS = {int: 4, bool: 7, float: 6}


def text(value: str | bytes) -> bytes:
    """A string as GGUF writes it."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def key(name: str | bytes, value: str | float) -> bytes:
    """A key with a string, an unsigned 32-bit integer, a bool or a float."""
    if isinstance(value, str):
        return text(name) + struct.pack("<I", 8) + text(value)
    code = {int: "I", bool: "?", float: "f"}[type(value)]
    return text(name) + struct.pack("<I" + code, _NUMBERS[type(value)], value)


def info(name: str | bytes, shape: Sequence[int], kind: int, offset: int) -> bytes:
    """A tensor's row in the header."""
    sizes = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    return text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, offset)


def nbytes(shape: Sequence[int], kind: int) -> int:
    """Bytes of a tensor's data."""
    _, block, size = TYPES[kind]
    return math.prod(shape) // block * size


def assembled(rows: Sequence[bytes], keys: Iterable[bytes], version: int = 3, alignment: int = 32) -> bytes:
    """A header up to where the data begins, from rows and keys that are written already."""
    keys = list(keys)
    head = b"GGUF" + struct.pack("<IQQ", version, len(rows), len(keys)) + b"".join(keys) + b"".join(rows)
    return head + bytes(-len(head) % alignment)


def gguf_header(
    tensors: Sequence[Row],
    keys: Mapping[str, str | float] | None = None,
    *,
    version: int = 3,
    alignment: int = 32,
) -> tuple[bytes, int]:
    """The first bytes of a good GGUF file with these tensors, and the whole file's size in bytes."""
    rows: list[bytes] = []
    position = 0
    for name, shape, kind in tensors:
        rows.append(info(name, shape, kind, position))
        position += nbytes(shape, kind)
        position += -position % alignment
    written = [key(name, value) for name, value in (keys or {"general.architecture": "flux"}).items()]
    head = assembled(rows, written, version, alignment)
    return head, len(head) + position
