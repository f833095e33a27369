"""A PNG picture looked at with the standard library: is it black, or of one colour."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
"""Numbers a pixel has, by PNG's colour type: grey, RGB, and each with transparency."""

LARGEST = 64 * 1024 * 1024
"""Bytes a picture may unpack to."""


class PictureError(ValueError):
    """Not a PNG that can be looked at."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels across and down, and the smallest and largest value of its colours (0 to 255)."""

    width: int
    height: int
    lowest: int
    highest: int

    @property
    def black(self) -> bool:
        """Every pixel is 0: what NaN becomes (observed on a real Forge)."""
        return self.highest == 0

    @property
    def one_colour(self) -> bool:
        """Every value is the same."""
        return self.lowest == self.highest


def look(content: bytes) -> Picture:
    """A PNG with 8 bits a sample, as Forge sends it.

    Raises:
        PictureError: another format, or a broken one.
    """
    if not content.startswith(SIGNATURE):
        raise PictureError("it is no PNG")
    try:
        chunks = list(_chunks(content))
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
        packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
        raw = zlib.decompressobj().decompress(packed, LARGEST)
    except (struct.error, zlib.error, KeyError) as error:
        raise PictureError(f"it is a broken PNG ({error})") from error
    if depth != 8 or colour not in SAMPLES or interlaced:
        raise PictureError(f"it is a PNG of a kind that is not read here (depth {depth}, colour type {colour})")
    samples = SAMPLES[colour]
    if len(raw) != height * (width * samples + 1) or not raw:
        raise PictureError("it is a broken PNG (its size is not that of its pixels)")
    seen = _colours(raw, width * samples, samples, keep=samples - (colour in {4, 6}))
    return Picture(width, height, min(seen), max(seen))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def _colours(raw: bytes, row: int, samples: int, keep: int) -> set[int]:
    """All values of the colours, without transparency: the filters undone row by row."""
    above = bytearray(row)
    seen: set[int] = set()
    for start in range(0, len(raw), row + 1):
        line = bytearray(raw[start + 1 : start + 1 + row])
        _unfilter(raw[start], line, above, samples)
        for sample in range(keep):
            seen.update(line[sample::samples])
        above = line
    return seen


def _unfilter(kind: int, line: bytearray, above: bytearray, samples: int) -> None:
    """PNG's five filters: each value was stored less what is predicted from those left, above and between."""
    for i, value in enumerate(line):
        left = line[i - samples] if i >= samples else 0
        corner = above[i - samples] if i >= samples else 0
        predicted = (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[min(kind, 4)]
        line[i] = (value + predicted) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]
