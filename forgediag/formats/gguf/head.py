"""The header of a GGUF file as it should be: keys, then tensors, read with one pass over its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class

from forgediag.formats.faults import fault
from forgediag.formats.window import Window
from forgediag.model import Fault

FIRST = 64 * 1024
"""Bytes of the first read; the 780 tensors of a Flux take some 70 KB, a tokenizer can add a few MB."""
HEADER_LIMIT = 64 * 1024 * 1024
"""The longest header that is read, in bytes, whatever the window gives."""
_STEP = 4 * 1024 * 1024
_LONGEST = 16 * 1024 * 1024
"""Bytes of a text and values of a list, at most: the vocabulary of the largest language model has 256,000 entries."""
_MOST_TENSORS, _MOST_KEYS = 200_000, 1_000_000
"""Published models have some 10,000 and 100 at most."""

_U32, _U64, _COUNTS = Struct("<I"), Struct("<Q"), Struct("<IQQ")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_VALUES = {kind: Struct("<" + code) for kind, code in _SCALARS.items()}
_ROWS: list[Struct] = [Struct(f"<{count}QIQ") for count in range(9)]
_STRING, _ARRAY, _DEEPEST = 8, 9, 8

Value = str | int | float
Row = tuple[str, tuple[int, ...], int, int]
"""A tensor's name, shape as the file has it (fastest first), type number and offset."""


class Damaged(Exception):  # noqa: N818 - a verdict
    """Why a header cannot be read."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.message)
        self.fault = found


@dataclass(frozen=True, slots=True)
class Head:
    """What a GGUF header says; `end` is where it ends. `keys` holds strings and numbers with their type, no arrays."""

    keys: dict[str, tuple[int, Value]]
    rows: list[Row]
    end: int


def read_head(window: Window) -> Head:
    """The header of a file.

    Raises:
        Damaged: it is not as it should be.
        OSError: the window does not give as much as the header takes.
    """
    data = window.read(0, min(window.size, FIRST))
    while True:
        try:
            return _parse(data, window.size)
        except StructError:
            if len(data) >= window.size:
                message = f"the file is cut inside its header, after {window.size:,} bytes"
                raise Damaged(fault("gguf-cut", message, offset=window.size)) from None
            piece = window.read(len(data), min(len(data), _STEP))
            if not piece or len(data) > HEADER_LIMIT:
                raise OSError("became shorter while it was read, or has a longer header than is read") from None
            data += piece


def _parse(data: bytes, size: int) -> Head:
    version, tensors, keys = _COUNTS.unpack_from(data, 4)
    if version not in {2, 3}:
        raise Damaged(_version(version))
    if tensors > _MOST_TENSORS or keys > _MOST_KEYS:
        message = f"the header counts {tensors:,} tensors and {keys:,} keys"
        raise Damaged(fault("gguf-count", message, offset=8))
    cursor = _Cursor(data, size)
    found: dict[str, tuple[int, Value]] = {}
    for _ in range(keys):
        at = cursor.at
        name = cursor.string()
        if name in found:
            raise Damaged(fault("gguf-duplicate", f"the key {name!r} occurs twice", offset=at))
        found[name] = cursor.keyed()
    return Head(found, cursor.rows(tensors), cursor.at)


def _version(version: int) -> Fault:
    if version & 0xFFFF == 0 and version:
        return fault("gguf-byte-order", "the file is big-endian", offset=4)
    return fault("gguf-version", f"the file is of GGUF version {version}; Forge reads 2 and 3", offset=4)


class _Cursor:
    __slots__ = ("at", "data", "size")

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size
        self.at: int = 24

    def string(self) -> str:
        (length,) = _U64.unpack_from(self.data, self.at)
        end = self.at + 8 + length
        if end > self.size or length > _LONGEST:
            message = f"a text of {length:,} bytes is no text, or runs past the end of the file"
            raise Damaged(fault("gguf-header", message, offset=self.at))
        if end > len(self.data):
            raise StructError
        raw = self.data[self.at + 8 : end]
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged(fault("gguf-header", "a text is not UTF-8", offset=self.at + 8 + error.start)) from None
        self.at = end
        return text

    def keyed(self) -> tuple[int, Value]:
        (kind,) = _U32.unpack_from(self.data, self.at)
        self.at += 4
        if kind == _STRING:
            return kind, self.string()
        if kind == _ARRAY:
            self.array(0)
            return kind, ""
        if kind not in _VALUES:
            raise Damaged(fault("gguf-header", f"there is no metadata type {kind}", offset=self.at - 4))
        (value,) = _VALUES[kind].unpack_from(self.data, self.at)
        self.at += _VALUES[kind].size
        return kind, value

    def array(self, depth: int) -> None:
        (kind,), (length,) = _U32.unpack_from(self.data, self.at), _U64.unpack_from(self.data, self.at + 4)
        start = self.at
        self.at += 12
        if kind in _VALUES:
            self.at += _VALUES[kind].size * length
        elif kind not in {_STRING, _ARRAY} or depth == _DEEPEST:
            raise Damaged(fault("gguf-header", f"there is no list of type {kind} here", offset=start))
        if self.at > self.size or length > min(self.size, _LONGEST):
            raise Damaged(
                fault(
                    "gguf-count",
                    f"a list of {length:,} values is no list, or runs past the end of the file",
                    offset=start,
                )
            )
        if self.at > len(self.data):
            raise StructError
        if kind == _STRING:
            for _ in range(length):
                self.string()
        elif kind == _ARRAY:
            for _ in range(length):
                self.array(depth + 1)

    def rows(self, count: int) -> list[Row]:
        """All tensors: the part that takes the time, so nothing is called that need not be."""
        data, at = self.data, int(self.at)
        rows: list[Row] = []
        text, number = _U64.unpack_from, _U32.unpack_from
        for _ in range(count):
            (length,) = text(data, at)
            end = at + 8 + length
            if end > self.size or length > _LONGEST:
                message = f"a tensor's name of {length:,} bytes is no name, or runs past the end of the file"
                raise Damaged(fault("gguf-header", message, offset=at))
            dimensions = int(number(data, end)[0])
            if dimensions > 8:
                message = f"tensor number {len(rows) + 1} has {dimensions} dimensions"
                raise Damaged(fault("gguf-shape", message, offset=end))
            layout: Struct = _ROWS[dimensions]
            found = layout.unpack_from(data, end + 4)
            try:
                rows.append((data[at + 8 : end].decode(), found[:dimensions], found[-2], found[-1]))
            except UnicodeDecodeError:
                raise Damaged(fault("gguf-header", "a tensor's name is not UTF-8", offset=at + 8)) from None
            at = end + 4 + layout.size
        self.at = at
        return rows
