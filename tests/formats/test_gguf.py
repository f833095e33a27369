"""GGUF headers, whole, damaged and cut off."""

from __future__ import annotations

import struct

import pytest

from forgediag.formats.gguf import piece, places, read, reference
from forgediag.formats.gguf.reference import HANGS, says
from forgediag.formats.window import Held
from forgediag.model import Fault, Header, Tensor
from forgediag.testing.files import Sparse
from forgediag.testing.gguf import assembled, gguf_header, info, key, text

KEYS = [
    key("general.architecture", "flux"),
    text("general.file_type") + struct.pack("<II", 4, 7),
    text("numbers") + struct.pack("<IIQ3I", 9, 4, 3, 1, 2, 3),
    text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
    text("lists") + struct.pack("<IIQIQB", 9, 9, 1, 0, 1, 5),
]
ROWS = [
    info("a.weight", (64, 256), 12, 0),
    info("a.bias", (64,), 0, 9216),
    info("s", (), 0, 9472),
]
WHOLE = assembled(ROWS, KEYS)
SIZE = len(WHOLE) + 9504


def one(shape: tuple[int, ...] = (32,), kind: int = 8, offset: int = 0) -> list[bytes]:
    return [info("x", shape, kind, offset)]


def fault(data: bytes, size: int | None = None) -> Fault:
    found = read(Sparse(data, len(data) + 4096 if size is None else size))
    assert isinstance(found, Fault), found
    return found


def doubt(data: bytes, size: int) -> str | None:
    found = read(Sparse(data, size))
    assert isinstance(found, Header), found
    return found.doubt and found.doubt.id


def test_names_types_shapes_and_sizes_are_read() -> None:
    header = read(Sparse(WHOLE, SIZE))
    assert isinstance(header, Header)
    assert (header.format, header.doubt) == ("gguf", None)
    assert header.metadata == {"general.architecture": "flux"}
    assert header.tensors == {
        "a.weight": Tensor("GGUF:Q4_K", (64, 256), 64 * 144),
        "a.bias": Tensor("GGUF:F32", (64,), 256),
        "s": Tensor("GGUF:F32", (), 4),
    }


def test_version_2_is_read() -> None:
    head, size = gguf_header([("x", (32,), 8)], version=2)
    found = read(Sparse(head, size))
    assert isinstance(found, Header)
    assert found.tensors["x"] == Tensor("GGUF:Q8_0", (32,), 34)


def test_a_header_longer_than_the_first_piece_is_read_to_its_end() -> None:
    head, size = gguf_header([(f"tensor.{number}", (32,), 8) for number in range(5000)])
    found = read(Sparse(head, size))
    assert isinstance(found, Header)
    assert len(found.tensors) == 5000


@pytest.mark.parametrize("length", [*range(24, len(WHOLE) - 4, 7)])
def test_a_cut_header_is_a_fault_that_forge_raises_for_too(length: int) -> None:
    found = read(Held(WHOLE[:length]))
    assert isinstance(found, Fault)
    assert found.forge_says


@pytest.mark.parametrize(
    ("data", "kind", "forge"),
    [
        (assembled([], [], version=1), "gguf-version", "file appears to be version 1 which"),
        (assembled([], [], version=0), "gguf-version", "file appears to be version 0 which"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "gguf-byte-order", None),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), "gguf-count", "changing to a larger dtype|size 0"),
        (assembled([], [text("k") + struct.pack("<I", 99)]), "gguf-header", "99 is not a valid GGUFValueType"),
        (assembled([], [text(b"\xff") + struct.pack("<II", 4, 1)]), "gguf-header", "can't decode byte 0xff"),
        (assembled([], [struct.pack("<Q", 1 << 62)]), "gguf-header", None),
        (assembled([], [key("k", 1), key("k", 2)]), "gguf-duplicate", None),
        (assembled([], [text("k") + struct.pack("<IIQ", 9, 0, 1 << 40)]), "gguf-count", HANGS),
        (assembled([], [text("k") + struct.pack("<IIQ", 9, 13, 1)]), "gguf-header", "13 is not a valid GGUFValueType"),
        (assembled([], [text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 20]), "gguf-header", None),
        (assembled(one((1,) * 9, 0), []), "gguf-shape", None),
        (assembled(one(kind=99), []), "gguf-type", "99 is not a valid GGMLQuantizationType"),
        (assembled(one(kind=4), []), "gguf-type", "4 is not a valid"),
        (assembled(one(kind=39), []), "gguf-type", "39 is not a valid"),
        (assembled(one((33,)), []), "gguf-shape", r"row size \(33\) is not a multiple of Q8_0 block size \(32\)"),
        (assembled(one((), 30), []), "gguf-shape", "tuple index out of range"),
        (assembled(one((0, 1 << 62, 4), 0), []), "gguf-shape", None),
        (assembled(one() + one(), []), "gguf-duplicate", "duplicated tensor with name x"),
        (assembled(one(), [key("general.alignment", 33)]), "gguf-alignment", None),
        (assembled(one(), [key("general.alignment", "x")]), "gguf-alignment", "Bad type for general.alignment field"),
        (assembled([info(b"\xff", (32,), 8, 0)], []), "gguf-header", "can't decode"),
        (assembled([struct.pack("<Q", 1 << 62) + bytes(30)], []), "gguf-header", None),
        (assembled(one(offset=1 << 62), []), "data-cut", "cannot reshape array of size 0"),
    ],
)
def test_damage_is_named(data: bytes, kind: str, forge: str | None) -> None:
    found = fault(data)
    assert found.id == kind
    if forge is not None:
        with pytest.raises(ValueError, match=forge):
            raise ValueError(found.forge_says)


def test_cut_data_says_how_much_is_there() -> None:
    found = fault(WHOLE, len(WHOLE) + 9000)
    assert (found.id, found.offset) == ("data-cut", len(WHOLE) + 9000)
    assert "9,476 bytes of weights belong in it, 9,000 are there; 'a.weight' is not whole" in found.message
    assert found.forge_says == "ValueError: cannot reshape array of size 9000 into shape (64,144)"


@pytest.mark.parametrize(
    ("rows", "keys", "size", "kind"),
    [
        (one(), [], 64, None),
        (one(), [], 64 + 33, "data-extra"),
        ([info("a", (8,), 0, 0), info("b", (8,), 0, 0)], [], 32, "gguf-offsets"),
        ([info("a", (8,), 0, 0), info("b", (8,), 0, 64)], [], 96, "gguf-offsets"),
        (one(offset=4), [], 64, "gguf-offsets"),
        (one((256,), 16), [], 96, "gguf-type-forge"),
        (one(), [text("split.count") + struct.pack("<IH", 2, 3)], 64, "gguf-split"),
    ],
)
def test_what_forge_reads_all_the_same_is_a_doubt(rows: list[bytes], keys: list[bytes], size: int, kind: str) -> None:
    data = assembled(rows, keys)
    assert doubt(data, len(data) + size) == kind


def test_a_second_file_behind_the_first_is_recognised() -> None:
    head, size = gguf_header([("x", (32,), 8)])
    whole = head + bytes(size - len(head))
    assert doubt(whole + whole, 2 * len(whole)) == "two-files"


def test_an_empty_file_is_none_of_the_readers() -> None:
    assert says(Held(b""), "forge") == "ValueError: cannot mmap an empty file"


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


@pytest.mark.parametrize(
    ("raw", "forge"),
    [
        (b"GGUF", "IndexError: index 0"),
        (b"GGUF" + numbers(3), "ValueError: not enough values to unpack \\(expected 2, got 0\\)"),
        (assembled([], [key("general.alignment", 32)])[:55], "index 0|larger dtype"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("general.alignment") + numbers(4), "IndexError: index 0"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("x") + numbers(0), "IndexError: index 0"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("x") + numbers(0, 0), "IndexError: index 0"),
        (assembled([info("x", (1,) * 33, 0, 0)], []) + bytes(64), "maximum supported dimension for an ndarray is 32"),
        (assembled([], [text("k") + numbers(9) + struct.pack("<IQ", 9, 1) * 1100]), "RecursionError"),
        (assembled([], [text("k") + numbers(9) + struct.pack("<IQ", 8, 1)])[:40], "index 0|larger dtype"),
    ],
)
def test_forges_reader_ends_as_numpy_ends(raw: bytes, forge: str) -> None:
    with pytest.raises(ValueError, match=forge):
        raise ValueError(says(Held(raw), "forge"))


def test_lists_within_lists_are_followed_as_deep_as_the_reader_goes() -> None:
    deep = text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 700 + struct.pack("<IQ", 0, 0)
    assert says(Held(assembled([], [deep])), "forge") is None


def test_lists_of_empty_lists_without_end_hang_the_reader() -> None:
    wide = text("k") + struct.pack("<IIQ", 9, 9, 1 << 40) + struct.pack("<IQ", 0, 0) * 3
    assert says(Held(assembled([], [wide])), "forge") != HANGS  # it runs into the end of the file
    many = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 0, 1 << 40)
    assert says(Held(many), "forge") == HANGS


def test_a_long_list_of_texts_and_long_numbers_are_read_over_the_first_piece() -> None:
    words = text("words") + struct.pack("<IIQ", 9, 8, 9000) + text("word") * 9000
    floats = text("floats") + struct.pack("<IIQ", 9, 6, 90000) + bytes(360000)
    long = key("long", "y" * 200000)
    head = assembled(ROWS, [words, floats, long])
    found = read(Sparse(head, len(head) + 9504))
    assert isinstance(found, Header)
    assert len(found.tensors) == 3


def test_a_damaged_header_whose_reader_would_take_too_much_of_the_file_is_told_all_the_same() -> None:
    head = assembled([], [struct.pack("<Q", 1 << 40)])

    class Limited:
        size = 1 << 41

        def read(self, offset: int, length: int) -> bytes:
            if length > 1 << 22:
                raise OSError("too much")
            return (head + bytes(4096))[offset : offset + length].ljust(length, b"\0")

    found = read(Limited())
    assert isinstance(found, Fault)
    assert found.id == "gguf-header"
    assert found.forge_says is not None


def test_a_header_without_end_is_not_read_for_ever() -> None:
    class Endless:
        size = 1 << 41

        def read(self, offset: int, length: int) -> bytes:
            start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 10, 1 << 24)
            return start[offset : offset + length].ljust(length, b"\0")

    with pytest.raises(OSError, match="longer header than is read"):
        read(Endless())


def test_counting_stops_where_a_person_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_ENDLESS", 10)
    words = text("k") + struct.pack("<IIQ", 9, 8, 20) + text("") * 20
    assert says(Held(assembled([], [words])), "forge") == HANGS


def test_where_numbers_lie_is_told_with_their_types() -> None:
    found = places(Sparse(WHOLE, SIZE))
    start = len(WHOLE)
    assert [(place.name, place.dtype, place.begin - start, place.end - start) for place in found] == [
        ("a.weight", "GGUF:Q4_K", 0, 9216),
        ("a.bias", "GGUF:F32", 9216, 9472),
        ("s", "GGUF:F32", 9472, 9476),
    ]


def test_a_damaged_file_has_no_places_and_is_no_piece() -> None:
    damaged = Held(WHOLE[:40])
    assert (places(damaged), piece(damaged)) == ([], None)


def test_a_file_of_another_kind_is_no_piece() -> None:
    assert piece(Held(b"<html>")) is None
