"""What the GGUF reader that Forge bundles, and the newest gguf package, make of a file, rule for rule.

Both are made of numpy views, which end silently where the file does: they accept much that is damage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from forgediag.formats.gguf.types import FORGE_READS, ITEMS, NEWEST_READS, TYPES
from forgediag.formats.window import Window

Reader = Literal["forge", "newest"]
"""The reader in Forge dfdcbab (packages_3rdparty/gguf, with numpy 1.26), or gguf 0.19.0 with numpy 2."""

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_NO_ITEM = "IndexError: index 0 is out of bounds for axis 0 with size 0"
_NO_VIEW = (
    "ValueError: When changing to a larger dtype, its size must be a divisor of the total size in bytes of the last"
    " axis of the array."
)
_TOO_BIG = "ValueError: array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size."
_ENDLESS = 5_000_000
_DEEP = 980
_WORD = 2**64

HANGS = "nothing: it hangs, reading numbers that are not there"
"""What the reader says of an array whose length is absurd."""


class _Raises(Exception):  # noqa: N818 - what another program raises
    """An exception of the reader, as Forge prints it."""


def says(window: Window, reader: Reader) -> str | None:
    """The exception a reader ends with as type and message; None when it reads the file.

    Raises:
        OSError: the window does not give enough of the file to tell.
    """
    try:
        _Reading(window, reader).run()
    except _Raises as raised:
        return str(raised)
    return None


@dataclass(slots=True)
class _Reading:
    window: Window
    reader: Reader
    order: Literal["little", "big"] = "little"
    at: int = 0
    steps: int = 0
    keys: dict[str, tuple[int, int | None]] = field(default_factory=dict[str, tuple[int, "int | None"]])

    def run(self) -> None:
        if self.window.size == 0:
            raise _Raises("ValueError: cannot mmap an empty file")
        if self.take(4) != int.from_bytes(b"GGUF", "little"):
            raise _Raises("ValueError: GGUF magic invalid")
        raw = self.view(self.at, 4, 1)
        if not raw:
            raise _Raises(_NO_ITEM)
        if int.from_bytes(raw, "little") & 65535 == 0:
            self.order = "big"
        version = self.take(4)
        if version not in {2, 3}:
            raise _Raises(f"ValueError: Sorry, file appears to be version {version} which we cannot handle")
        counts = self.view(self.at, 8, 2)
        if len(counts) < 16:
            raise _Raises(f"ValueError: not enough values to unpack (expected 2, got {len(counts) // 8})")
        self.at += 16
        tensors, keys = self.number(counts[:8]), self.number(counts[8:])
        self.keys = dict.fromkeys(("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"), (10, None))
        for _ in self.counted(keys):
            self.key()
        rows = [self.info() for _ in self.counted(tensors)]
        self.align()
        self.build(rows)

    def counted(self, count: int) -> Iterator[int]:
        """Count, unless it goes on for ever."""
        for number in range(count):
            self.steps += 1
            if self.steps > _ENDLESS:
                raise _Raises(HANGS)
            yield number

    def number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self.order)

    def extent(self, offset: int, item: int, count: int) -> int:
        """Bytes a numpy view of `count` items has there: fewer at the end of the file."""
        there = max(0, min(item * count, self.window.size - offset))
        if there % item:
            raise _Raises(_NO_VIEW)
        return there

    def view(self, offset: int, item: int, count: int) -> bytes:
        length = self.extent(offset, item, count)
        return self.window.read(offset, length) if length else b""

    def take(self, item: int) -> int:
        """The next number; the reader asks for the first item of a view, which may have none."""
        raw = self.view(self.at, item, 1)
        if not raw:
            raise _Raises(_NO_ITEM)
        self.at += item
        return self.number(raw)

    def string(self) -> bytes:
        length = self.take(8)
        raw = self.view(self.at, 1, length)
        self.at += len(raw)
        return raw

    def key(self) -> None:
        start = self.at
        name = self.string()
        kind = self.take(4)
        begin = self.at
        self.value(kind)
        key = _text(name)
        if key not in self.keys:
            self.keys[key] = kind, self.number(self.view(begin, 4, 1)) if kind == _UINT32 and self.at > begin else None
        elif self.reader == "newest":
            raise _Raises(f"KeyError: {f'Duplicate {key} already in list at offset {start}'!r}")

    def value(self, kind: int) -> None:
        """A value and all that is in it, with a stack of our own where the reader recurses."""
        pending = [(kind, 1, 0)]
        while pending:
            kind, left, depth = pending.pop()
            if kind in _SCALARS:
                self.scalars(_SCALARS[kind], left)
            elif kind == _STRING:
                for _ in self.counted(left):
                    self.string()
            elif kind != _ARRAY:
                raise _Raises(f"ValueError: {self.written(kind)} is not a valid GGUFValueType")
            elif depth > _DEEP:
                raise _Raises("RecursionError: maximum recursion depth exceeded")
            else:
                next(self.counted(1))
                if left > 1:
                    pending.append((_ARRAY, left - 1, depth))
                inner = self.view(self.at, 4, 1)
                self.at += len(inner)
                length = self.take(8)
                if length:
                    pending.append((self.number(inner), length, depth + 1))

    def scalars(self, item: int, count: int) -> None:
        there = self.extent(self.at, item, count) // item
        self.at += there * item
        if count - there > _ENDLESS:
            raise _Raises(HANGS)

    def info(self) -> tuple[str, list[int], bytes, bytes]:
        name = self.string()
        sizes = self.view(self.at + 4, 8, self.take(4))
        self.at += len(sizes)
        kind = self.view(self.at, 4, 1)
        self.at += len(kind)
        place = self.view(self.at, 8, 1)
        self.at += len(place)
        dims = [self.number(sizes[at : at + 8]) for at in range(0, len(sizes), 8)]
        return _text(name), dims, kind, place

    def align(self) -> None:
        alignment = 32
        found = self.keys.get("general.alignment")
        if found is not None:
            kind, value = found
            if kind != _UINT32:
                raise _Raises("ValueError: Bad type for general.alignment field")
            if value is None:
                raise _Raises(_NO_ITEM)
            alignment = value
            if self.reader == "newest" and (alignment == 0 or alignment & (alignment - 1)):
                raise _Raises("ValueError: Invalid alignment: must be a non-zero power of two")
        if alignment:
            self.at += -self.at % alignment

    def build(self, rows: list[tuple[str, list[int], bytes, bytes]]) -> None:
        names: set[str] = set()
        for name, dims, kind, place in rows:
            if name in names:
                raise _Raises(f"ValueError: Found duplicated tensor with name {name}")
            names.add(name)
            if not kind:
                raise _Raises(_NO_ITEM)
            self.tensor(self.number(kind), dims, place)

    def tensor(self, kind: int, dims: list[int], place: bytes) -> None:
        if kind not in (NEWEST_READS if self.reader == "newest" else FORGE_READS):
            raise _Raises(f"ValueError: {self.written(kind)} is not a valid GGMLQuantizationType")
        name, block, size = TYPES[kind]
        if not place:
            raise _Raises(_NO_ITEM)
        shape = tuple(reversed(dims))
        elements = math.prod(dims) % _WORD
        item, count = ITEMS.get(name, 1), elements if name in ITEMS else elements * size // block
        if name not in ITEMS:
            if not shape:
                raise _Raises("IndexError: tuple index out of range")
            if shape[-1] % block:
                row = f"Quantized tensor row size ({shape[-1]})"
                raise _Raises(f"ValueError: {row} is not a multiple of {name} block size ({block})")
            shape = (*shape[:-1], shape[-1] // block * size)
        self.reshape(self.extent(self.offset(place), item, count) // item, shape, item)

    def offset(self, place: bytes) -> int:
        # numpy 2 wraps at 64 bits; numpy 1.26 adds an int64 and a uint64 as floats
        added = self.at + self.number(place)
        return added % _WORD if self.reader == "newest" else int(float(self.at) + float(self.number(place)))

    def reshape(self, count: int, shape: tuple[int, ...], item: int) -> None:
        most = 64 if self.reader == "newest" else 32
        if len(shape) > most:
            raise _Raises(f"ValueError: maximum supported dimension for an ndarray is {most}, found {len(shape)}")
        if any(size >= _WORD // 2 for size in shape):
            raise _Raises("ValueError: Maximum allowed dimension exceeded")
        if 0 in shape and math.prod(size for size in shape if size) * item >= _WORD // 2:
            raise _Raises(_TOO_BIG)
        if math.prod(shape) != count:
            written = f"({shape[0]},)" if len(shape) == 1 else f"({','.join(map(str, shape))})"
            raise _Raises(f"ValueError: cannot reshape array of size {count} into shape {written}")

    def written(self, number: int) -> str:
        """A number as this reader's numpy prints it."""
        return f"np.uint32({number})" if self.reader == "newest" else str(number)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Raises(f"UnicodeDecodeError: {error}") from error
