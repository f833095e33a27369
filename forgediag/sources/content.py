"""NaN, Inf, zeros and numbers too large for fp16 in a file's tensors, at memory speed (needs numpy)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from forgediag.formats import gguf
from forgediag.formats.window import Place, Window
from forgediag.model import Fault, Header
from forgediag.model.identity import Content, Numbers
from forgediag.sources.digests import pieces
from forgediag.sources.headers import read_header
from forgediag.sources.reading import Changed, Reading
from forgediag.sources.zeros import Zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Layout:
    """A floating-point format as integers: the magnitudes of finite numbers are ordered as their bits are.

    `first` is the smallest bit pattern (without sign) that is not finite, `infinity` that of Inf (0: has none).
    """

    size: int
    first: int
    infinity: int
    mantissa: int
    bias: int

    @property
    def mask(self) -> int:
        """Every bit but the sign."""
        return (1 << (8 * self.size - 1)) - 1

    def value(self, bits: int) -> float:
        """The number a magnitude's bits stand for."""
        exponent, fraction = bits >> self.mantissa, bits & ((1 << self.mantissa) - 1)
        if not exponent:
            return float(fraction) * 2.0 ** (1 - self.bias - self.mantissa)
        if self.size == 8:
            return float(struct.unpack("<d", struct.pack("<Q", bits))[0])
        return float((1 << self.mantissa) + fraction) * 2.0 ** (exponent - self.bias - self.mantissa)


LAYOUTS = {
    "F64": Layout(8, 0x7FF0000000000000, 0x7FF0000000000000, 52, 1023),
    "F32": Layout(4, 0x7F800000, 0x7F800000, 23, 127),
    "F16": Layout(2, 0x7C00, 0x7C00, 10, 15),
    "BF16": Layout(2, 0x7F80, 0x7F80, 7, 127),
    "F8_E5M2": Layout(1, 0x7C, 0x7C, 2, 15),
    "F8_E4M3": Layout(1, 0x7F, 0, 3, 7),  # torch's e4m3fn: no Inf, one NaN
}
"""The floating-point dtypes of safetensors 0.4.2, by name."""


@dataclass(slots=True)
class _Seen:
    """One tensor's place and what was seen of it. Of quantised ones the scales of their `block`s are its elements."""

    name: str
    dtype: str
    layout: Layout
    begin: int
    end: int
    block: int = 0
    scales: tuple[int, ...] = ()
    seen: int = 0
    elements: int = 0
    nan: int = 0
    infinite: int = 0
    largest: int = 0
    cut: bytes = b""

    def numbers(self) -> Numbers:
        largest = self.layout.value(self.largest)
        return Numbers(self.name, self.dtype, self.elements, self.nan, self.infinite, largest)

    @property
    def step(self) -> int:
        """Bytes that belong together."""
        return self.block or self.layout.size

    def look(self, data: memoryview) -> None:
        """Elements of it, whole ones."""
        self.seen += len(data)
        if not self.block:
            self._numbers(data)
            return
        for scale in self.scales:
            count, kind = len(data) // self.block, f"<u{self.layout.size}"
            strided: NDArray[np.unsignedinteger] = np.ndarray(count, kind, data, scale, self.block)
            self._numbers(memoryview(strided.tobytes()))

    def _numbers(self, data: memoryview) -> None:
        unsigned: NDArray[np.unsignedinteger] = np.frombuffer(data, f"<u{self.layout.size}")
        self.elements += len(unsigned)
        mask = self.layout.mask
        # As signed integers negative numbers are below all positive ones, as unsigned above: two maxima see both.
        positive = int(np.frombuffer(data, f"<i{self.layout.size}").max())
        negative = int(unsigned.max())
        found = max(positive, negative & mask if negative > mask else 0)
        if found >= self.layout.first:
            found = self._count(unsigned)
        self.largest = max(self.largest, found)

    def _count(self, unsigned: NDArray[np.unsignedinteger]) -> int:
        """Count what is not finite; the largest finite magnitude."""
        magnitude = unsigned & unsigned.dtype.type(self.layout.mask)
        wrong = magnitude >= self.layout.first
        infinite = int(np.count_nonzero(magnitude == self.layout.infinity)) if self.layout.infinity else 0
        self.nan += int(np.count_nonzero(wrong)) - infinite
        self.infinite += infinite
        return int(magnitude.max(where=~wrong, initial=0))


@dataclass(slots=True)
class Scan:
    """Looks at a file's numbers slice by slice."""

    tensors: Sequence[_Seen]
    unexamined: Counter[str]
    zeros: Zeros = field(default_factory=Zeros)
    weight: float = 0.12
    _ends: list[int] = field(init=False)
    _at: int = -1

    def __post_init__(self) -> None:
        self._ends = [tensor.end for tensor in self.tensors]

    @classmethod
    def of(cls, path: str, file: Window) -> Scan:
        """A scan for a file that is about to be read.

        Of a file that does not say where its numbers are (a pickle of before torch 1.6, a damaged one) only blocks of
        zeros are found.

        Raises:
            OSError: the header cannot be read.
        """
        header = read_header(path)
        if isinstance(header, Fault):
            return cls((), Counter())
        found = tuple(filter(None, map(_seen, _places(header, file))))
        return cls(found, Counter(_others(header, {each.name for each in found})))

    def update(self, data: memoryview, offset: int) -> None:
        """The next slice; after a gap the elements cut by its edges are left out."""
        self.zeros.update(data, offset)
        end = offset + len(data)
        for number in range(bisect_right(self._ends, offset), len(self.tensors)):
            tensor = self.tensors[number]
            if tensor.begin >= end:
                break
            self._part(tensor, data, offset)
        self._at = end

    def _part(self, tensor: _Seen, data: memoryview, offset: int) -> None:
        size = tensor.step
        begin, end = max(tensor.begin, offset), min(tensor.end, offset + len(data))
        skip = -(begin - tensor.begin) % size
        if skip and offset == self._at and len(tensor.cut) + skip == size:
            tensor.look(memoryview(tensor.cut + bytes(data[begin - offset : begin - offset + skip])))
        begin += skip
        whole = (end - begin) // size * size
        if whole > 0:
            tensor.look(data[begin - offset : begin - offset + whole])
        tensor.cut = bytes(data[begin + whole - offset : end - offset]) if whole >= 0 else b""

    def result(self, *, whole: bool = True) -> Content:
        """What was seen."""
        return Content(
            examined=sum(tensor.elements > 0 for tensor in self.tensors),
            odd=tuple(_odd(self.tensors)),
            unexamined=dict(self.unexamined),
            zero_bytes=self.zeros.total,
            zero_run=self.zeros.longest,
            whole=whole,
        )


def sample(path: str, *, uncached: bool = True) -> Content:
    """A look at 64 pieces of 64 KiB spread over a file, whatever its size: milliseconds.

    It finds damage of a contiguous share z of the file with probability min(1, 64 z).

    Raises:
        OSError: the file cannot be read, or changed meanwhile.
    """
    with Reading(path, uncached=uncached, samples=True) as reading:
        scan = Scan.of(path, reading)
        for offset, length in pieces(reading.size):
            piece = reading.read(offset, length)
            if len(piece) < length:
                raise Changed("it was cut while it was read")
            scan.update(memoryview(piece), offset)
        reading.check()
        return scan.result(whole=False)


def _odd(tensors: Sequence[_Seen]) -> Iterator[Numbers]:
    for tensor in tensors:
        if not tensor.elements:
            continue
        numbers = tensor.numbers()
        all_seen = tensor.seen == tensor.end - tensor.begin
        if numbers.nan or numbers.infinite or numbers.overflows or (numbers.zero and all_seen):
            yield numbers


def _places(header: Header, file: Window) -> Iterable[Place]:
    """Where the tensors' numbers lie, in the order of the file."""
    if header.format == "gguf":
        return gguf.places(file)
    if header.format == "pickle":
        from forgediag.formats.pickle import places  # noqa: PLC0415 - few have such files

        return places(file)
    begin = 8 + int.from_bytes(file.read(0, 8), "little")
    ends = accumulate((tensor.nbytes for tensor in header.tensors.values()), initial=begin)
    rows = zip(ends, header.tensors.items(), strict=False)  # the last end begins nothing
    return [Place(name, tensor.dtype, at, at + tensor.nbytes) for at, (name, tensor) in rows]


def _seen(place: Place) -> _Seen | None:
    """What is looked at of a place; None for one of other types, and for an empty one."""
    if place.begin == place.end:
        return None
    kind = place.dtype.removeprefix("GGUF:")
    if (layout := LAYOUTS.get(kind)) is not None:
        return _Seen(place.name, place.dtype, layout, place.begin, place.end)
    if kind != place.dtype and (scales := gguf.SCALES.get(kind)) is not None:
        return _Seen(place.name, place.dtype, LAYOUTS["F16"], place.begin, place.end, gguf.BLOCKS[kind][1], scales)
    return None


def _others(header: Header, seen: Collection[str]) -> Iterator[str]:
    """The types of tensors that nothing looks at; others may share what one of their type is looked at for."""
    looked = {header.tensors[name].dtype for name in seen}
    for tensor in header.tensors.values():
        if tensor.dtype not in looked and (tensor.nbytes or tensor.dtype not in LAYOUTS):
            yield tensor.dtype
