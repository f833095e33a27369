"""Pictures looked at without a library for pictures."""

from __future__ import annotations

import struct
import zlib

import pytest

from forgediag.actions.picture import Picture, PictureError, look
from forgediag.testing.forge.answers import png


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(width: int, rows: list[bytes], colour: int, depth: int = 8, interlaced: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlaced)
    packed = zlib.compress(b"".join(rows))
    half = len(packed) // 2
    pieces = chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pieces + chunk(b"IEND", b"")


def test_a_black_picture_is_known_from_any_other() -> None:
    assert look(png(64, 64, black=True)).black
    other = look(png(64, 64, black=False))
    assert not other.black
    assert not other.one_colour
    assert (other.width, other.height) == (64, 64)


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ([b"\x00\x0a\x14\x1e"], (10, 30)),
        ([b"\x01\x0a\x0a\x0a"], (10, 30)),
        ([b"\x00\x01\x02\x03", b"\x02\x04\x04\x04"], (1, 7)),
        ([b"\x00\x0a\x14\x1e", b"\x03\x05\x05\x05"], (10, 30)),
        ([b"\x00\x0a\x14\x1e", b"\x04\x01\xff\x00"], (10, 30)),
        ([b"\x04\x07\x00\x00"], (7, 7)),
    ],
)
def test_every_filter_of_png_is_undone(rows: list[bytes], values: tuple[int, int]) -> None:
    made = look(picture(3, rows, 0))
    assert (made.lowest, made.highest) == values


def test_transparency_is_no_colour() -> None:
    assert look(picture(1, [b"\x00\x05\x05\x05\xff"], 6)) == Picture(1, 1, 5, 5)
    assert look(picture(1, [b"\x00\x00\x80"], 4)).black


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xd8\xff\xe0 a JPEG", "no PNG"),
        (b"\x89PNG\r\n\x1a\n", "broken PNG"),
        (picture(2, [b"\x00\x01"], 0), "size"),
        (picture(1, [b"\x00\x01\x01"], 0, depth=16), "depth 16"),
        (picture(1, [b"\x00\x01"], 3), "colour type 3"),
        (picture(1, [b"\x00\x01"], 0).replace(b"IDATx", b"IDATy"), "broken PNG"),
    ],
)
def test_what_cannot_be_looked_at_is_told(content: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        look(content)
