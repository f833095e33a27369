"""Unwritten ends, stretches of zeros, folders in pieces, names, and what a file may cost."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgediag.forge.judge import judge
from forgediag.formats import gguf, safetensors
from forgediag.formats.diffusers import incomplete
from forgediag.formats.tail import sampled, unwritten
from forgediag.formats.window import Held
from forgediag.model import Fault, Header, Tensor
from forgediag.sources.window import READ_LIMIT, FileWindow, opened
from forgediag.testing.corpus_headers import entry, file
from forgediag.testing.files import Sparse, write_sparse
from forgediag.testing.gguf import gguf_header

MIB = 1024 * 1024


def tensors(*sizes: int) -> Header:
    return Header("safetensors", {str(number): Tensor("U8", (size,), size) for number, size in enumerate(sizes)})


def test_a_last_tensor_of_zeros_is_no_unwritten_end() -> None:
    raw = b"\1" * (2 * MIB) + bytes(2 * MIB)
    assert unwritten(Held(raw), tensors(2 * MIB, 2 * MIB)) is None


@pytest.mark.parametrize("sizes", [(MIB, 3 * MIB), (3 * MIB, MIB), (4 * MIB - 100, 100)])
def test_zeros_that_cross_tensors_are_an_unwritten_end(sizes: tuple[int, ...]) -> None:
    fault = unwritten(Held(b"\1" * (2 * MIB) + bytes(2 * MIB)), tensors(*sizes))
    assert fault is not None
    assert fault.id == "tail-zeros"


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this system does not tell holes: sparse tails not tested")
def test_a_hole_tells_where_the_writing_stopped(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a", b"\1" * MIB, 8 * MIB, end=b"")
    with opened(str(path)) as window:
        fault = unwritten(window, tensors(8 * MIB))
        assert window.written() == MIB
    assert fault is not None
    assert (fault.id, fault.offset) == ("tail-hole", MIB)


def test_a_system_without_holes_sees_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sparse(tmp_path / "a", b"\1" * MIB, 8 * MIB, end=b"")
    monkeypatch.delattr(os, "SEEK_HOLE", raising=False)
    with opened(str(path)) as window:
        fault = unwritten(window, tensors(8 * MIB))
    assert fault is not None
    assert fault.id == "tail-zeros"


def test_a_file_without_holes_is_written_to_its_end(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a", b"\1" * MIB, MIB)
    with opened(str(path)) as window:
        assert window.written() == MIB


def test_a_file_system_that_cannot_tell_holes_counts_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sparse(tmp_path / "a", b"\1" * MIB, MIB)

    def refuse(*_: int) -> int:
        raise OSError(22, "Invalid argument")

    with opened(str(path)) as window:
        monkeypatch.setattr(os, "lseek", refuse)
        assert window.written() == MIB
        monkeypatch.undo()


def test_without_pread_a_file_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sparse(tmp_path / "a", b"0123456789", 10)
    monkeypatch.delattr(os, "pread", raising=False)
    with opened(str(path)) as window:
        assert (window.read(8, 5), window.read(2, 3)) == (b"89", b"234")


@pytest.mark.parametrize("share", [0.05, 0.1, 0.9])
@pytest.mark.parametrize("where", [0.0, 0.31, 0.9])
def test_a_stretch_of_zeros_of_5_percent_is_found_anywhere(share: float, where: float) -> None:
    size = 64 * MIB
    begin = int(min(where, 1 - share) * size)

    class Damaged:
        size = 64 * MIB

        def read(self, offset: int, length: int) -> bytes:
            end = begin + int(share * 64 * MIB)
            return bytes(0 if begin <= place < end else 1 for place in range(offset, offset + length, 512))

    fault = sampled(Damaged())
    assert fault is not None
    assert fault.id == "zero-stretch"
    assert sampled(Held(b"\1" * 5000)) is None


@pytest.mark.parametrize(
    ("index", "present", "words"),
    [
        ({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}, ["m-1.safetensors"], "m-2.safetensors of 2"),
        ({"weight_map": {"a": "1", "b": "2", "c": "3"}}, ["1"], "2 and 1 more of 3"),
        ({"_class_name": "X", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]}, ["unet"], "vae of 2"),
        ([], [], "not a JSON object"),
    ],
)
def test_a_folder_in_pieces_says_what_is_missing(index: object, present: list[str], words: str) -> None:
    fault = incomplete(json.dumps(index).encode(), present)
    assert fault is not None
    assert words in fault.message


def test_a_whole_folder_misses_nothing() -> None:
    index = {"_v": [1, 2], "x": [1, 2], "vae": ["diffusers", "V"], "n": 3}
    assert incomplete(json.dumps(index).encode(), ["vae"]) is None
    assert incomplete(b"<html>", []) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_snapshot_of_the_hugging_face_cache_is_read_through_its_link(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("ab" * 32)
    write_sparse(blob, file(entry()), len(file(entry())))
    snapshot = tmp_path / "snapshots" / "model.safetensors"
    snapshot.parent.mkdir()
    snapshot.symlink_to(blob)
    for path in (blob, snapshot):
        with opened(str(path)) as window:
            assert judge(str(path), window).fault is None


def test_a_gguf_blob_is_told_by_its_beginning() -> None:
    head, size = gguf_header([("x", (32,), 8)])
    found = judge("cd" * 20, Sparse(head, size))
    assert found.header is not None
    assert (found.header.format, found.fault) == ("gguf", None)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_in_a_circle_folders_and_devices_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for path in (tmp_path / "a", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"symbolic links|directory|regular file") as caught, opened(str(path)):
            raise AssertionError("it was opened")
        assert "\n" not in str(caught.value)


def test_no_more_of_a_file_is_read_than_the_limit(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a", b"", 64 * MIB)
    with path.open("rb") as source:
        window = FileWindow(source.fileno(), 64 * MIB)
        for piece in range(READ_LIMIT // (4 * MIB)):
            window.read(piece, 4 * MIB)
        with pytest.raises(OSError, match="needs more to be judged"):
            window.read(0, 1)


def test_a_file_that_shrinks_while_it_is_read_is_told() -> None:
    raw = file(entry(more=f',"x":"{"y" * 5000}"'))

    class Shrinks:
        size = len(raw)

        def read(self, offset: int, length: int) -> bytes:
            return raw[: len(raw) - 2000][offset : offset + length]

    with pytest.raises(OSError, match="became shorter"):
        safetensors.read(Shrinks())


def peak(raw: bytes) -> float:
    """Bytes of memory at most in use while a file is judged, as a multiple of what is read of it."""
    tracemalloc.start()
    try:
        (gguf if raw.startswith(b"GGUF") else safetensors).read(Held(raw))
        return tracemalloc.get_traced_memory()[1] / len(raw)
    finally:
        tracemalloc.stop()


EMPTY = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
HOSTILE = {
    "empty lists": file(entry(more=f',"x":[{"[],[]," * 20000}1]')),
    "empty objects": file(entry(more=f',"x":[{"{}," * 40000}1]')),
    "numbers": file(entry(more=f',"x":[{"1," * 60000}1]')),
    "pairs": file("{" + '"":0,' * 30000 + '"a":1}'),
    "tensors": file(
        "{" + ",".join(f'"{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for n in range(3000)) + "}"
    ),
    "deep": file(entry(more=f',"x":{"[" * 100000}')),
    "gguf names": b"GGUF" + (3).to_bytes(4, "little") + (9000).to_bytes(8, "little") + bytes(8) + bytes(24 * 9000),
}
MEMORY_CAP = 60
"""Bytes of memory for each byte of a hostile header; with pieces of at most 4 MiB that is the stated cap."""


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_header_costs_a_bounded_amount_of_memory(raw: bytes) -> None:
    assert peak(raw) < MEMORY_CAP


GGUF = gguf_header([("a.weight", (2, 32), 8), ("b", (4,), 0)], {"general.architecture": "flux", "n": 3, "f": 0.5})
WHOLE = GGUF[0] + bytes(GGUF[1] - len(GGUF[0]))


@settings(deadline=2000)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(max_size=9), st.integers(0, 9)), max_size=5))
def test_a_changed_gguf_file_never_breaks_the_reader(changes: list[tuple[int, bytes, int]]) -> None:
    raw = bytearray(WHOLE)
    for place, new, gone in changes:
        raw[place : place + gone] = new
    found = gguf.read(Held(bytes(raw)))
    assert isinstance(found, Header | Fault)


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_end_in_a_verdict(raw: bytes) -> None:
    assert isinstance(gguf.read(Held(b"GGUF\3\0\0\0" + raw)), Header | Fault)


@given(
    st.sampled_from(["a.safetensors", "a.gguf", "a.ckpt.part", "a.gguf.corrupted", "ab" * 32]), st.binary(max_size=99)
)
def test_any_file_of_any_name_is_judged(name: str, raw: bytes) -> None:
    found = judge(name, Held(raw), "checkpoint")
    assert found.header is not None or found.fault is not None
