"""Every identity is what its own definition makes of the bytes, whatever the size, and a file that changes has none."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import blake3
import pytest

from forgediag.sources import digests
from forgediag.sources.batch import identify_all
from forgediag.sources.identity import ALL, BLOCK, Changed, Stopped, blake3_alone, fingerprint, identify, usable_cores
from forgediag.sources.reading import Reading
from forgediag.sources.records import Records

MIB = 1024 * 1024
SIZES = [0, 1, 9, MIB - 1, MIB, MIB + 1, MIB + 70_000, BLOCK, BLOCK + 1, 2 * BLOCK + 12_345, 5 * BLOCK + 7]


def noise(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


def safetensors(size: int) -> bytes:
    header = b'{"__metadata__":{"a":"b"}}'
    return struct.pack("<Q", len(header)) + header + noise(size)


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_every_identity_follows_its_definition(tmp_path: Path, size: int, cores: int) -> None:
    data = noise(size)
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    found = identify(str(path), wanted=ALL, cores=cores)
    assert found.size == size
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.autov1 == hashlib.sha256(data[MIB : MIB + 65536]).hexdigest()[:8]
    assert found.crc32 == f"{zlib.crc32(data):08x}"
    assert found.blake3 == blake3.blake3(data).hexdigest()
    assert found.fingerprint == fingerprint(str(path))
    assert (found.autov3, found.content) == (None, None)


@pytest.mark.parametrize("size", [0, 5, MIB, 2 * BLOCK + 1])
def test_autov3_covers_what_lies_behind_a_safetensors_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(size))
    found = identify(str(path), wanted=frozenset({"autov3"}))
    assert found.autov3 == hashlib.sha256(noise(size)).hexdigest()
    assert found.sha256 == hashlib.sha256(safetensors(size)).hexdigest()


def test_only_what_is_wanted_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(10))
    found = identify(str(path))
    assert (found.autov1, found.autov3, found.blake3, found.crc32, found.fingerprint) == (None,) * 5


def test_a_fingerprint_tells_a_changed_tail_and_a_hole_of_a_32nd(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    data = bytearray(noise(16 * MIB))
    path.write_bytes(data)
    whole = fingerprint(str(path))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert fingerprint(str(path)) != whole
    path.write_bytes(data[: 5 * MIB] + bytes(MIB // 2) + data[5 * MIB + MIB // 2 :])
    assert fingerprint(str(path)) != whole


def test_pieces_lie_at_both_ends_and_never_twice() -> None:
    for size in (0, 1, 65536, 4 * MIB, 4 * MIB + 1, 24_000_000_001):
        found = list(digests.pieces(size))
        assert all(a + length <= b for (a, length), (b, _) in pairwise(found))
        assert not found or (found[0][0] == 0 and sum(found[-1]) == size)


def test_without_the_package_blake3_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    assert identify(str(path), wanted=ALL).blake3 is None


@pytest.mark.parametrize("cores", [1, 2])
def test_blake3_alone_is_the_same(tmp_path: Path, cores: int) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(2 * BLOCK + 3))
    assert blake3_alone(str(path), cores=cores) == blake3.blake3(noise(2 * BLOCK + 3)).hexdigest()


def test_blake3_alone_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(ImportError):
        blake3_alone(str(tmp_path / "model.bin"))


def test_a_file_cut_between_samples_has_no_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(100))
    monkeypatch.setattr(Reading, "read", lambda self, offset, length: b"")
    with pytest.raises(Changed):
        fingerprint(str(path))


def test_the_gate_is_asked_before_each_block_with_the_bytes_so_far(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(2 * BLOCK + 1))
    asked: list[int] = []

    def gate(done: int) -> bool:
        asked.append(done)
        return True

    identify(str(path), gate=gate)
    assert asked == [0, BLOCK, 2 * BLOCK]


@pytest.mark.parametrize("cores", [1, 2])
def test_the_gate_stops_a_read(tmp_path: Path, cores: int) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(3 * BLOCK))
    with pytest.raises(Stopped):
        identify(str(path), gate=lambda done: done < BLOCK, cores=cores)


Meddle = Callable[[Path], object]


def write_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def write_and_turn_the_clock_back(path: Path) -> None:
    before = path.stat()
    write_in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(
    "meddle",
    [
        write_in_place,
        replace,
        pytest.param(
            write_and_turn_the_clock_back,
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no time of the last change here"),
        ),
        lambda path: os.truncate(path, 10),
        lambda path: os.truncate(path, BLOCK),
        lambda path: os.truncate(path, 4 * BLOCK),
    ],
)
def test_a_file_that_changes_while_it_is_read_has_no_identity(tmp_path: Path, meddle: Meddle, cores: int) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(3 * BLOCK))

    def gate(done: int) -> bool:
        if done == BLOCK:
            meddle(path)
        return True

    with pytest.raises(Changed):
        identify(str(path), gate=gate, cores=cores)


def test_a_file_that_goes_while_it_is_read_has_no_identity(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")

    def gate(done: int) -> bool:
        path.unlink()
        return True

    with pytest.raises(FileNotFoundError):
        identify(str(path), gate=gate)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in folders are a thing of POSIX")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file"):
        identify(str(tmp_path / "pipe"))


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="reads are made with preadv where there is one")
def test_a_disk_error_is_told_and_nothing_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(noise(3 * BLOCK))
    real: Any = os.preadv

    def preadv(handle: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if offset >= BLOCK:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return int(real(handle, buffers, offset, 0))

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(OSError, match="Input/output error"):
        identify(str(path))


def test_a_read_may_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.bin"
    data = noise(100_000)
    path.write_bytes(data)
    some = Reading._some
    monkeypatch.setattr(Reading, "_some", lambda self, buffer, offset: some(self, buffer[:7_001], offset))
    assert identify(str(path)).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "refusal", [OSError(errno.EOPNOTSUPP, "no"), OSError(errno.EINVAL, "no"), NotImplementedError()]
)
def test_a_kernel_without_uncached_reads_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def refuse(*_: object) -> int:
        raise refusal

    monkeypatch.setattr(os, "preadv", refuse, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    path = tmp_path / "model.bin"
    data = noise(2 * BLOCK + 3)
    path.write_bytes(data)
    assert identify(str(path)).sha256 == hashlib.sha256(data).hexdigest()


def test_a_system_without_preadv_reads_the_plain_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "preadv", raising=False)
    path = tmp_path / "model.bin"
    path.write_bytes(noise(BLOCK + 3))
    assert identify(str(path)).sha256 == hashlib.sha256(noise(BLOCK + 3)).hexdigest()


def test_a_window_reads_from_anywhere_and_ends_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"0123456789")
    with Reading(str(path)) as file:
        assert (file.size, file.read(3, 4), file.read(8, 100), file.read(50, 1)) == (10, b"3456", b"89", b"")


def test_the_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == (os.cpu_count() or 1)


def test_several_files_come_in_the_order_given_with_what_failed(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 100)
    told: dict[str, int] = {}
    paths = [str(tmp_path / name) for name in ("c", "gone", "a", "b")]
    found = dict(identify_all(paths, Records(None), wanted=frozenset(), progress=told.__setitem__))
    assert list(found) == paths
    assert isinstance(found[paths[1]], FileNotFoundError)
    assert [getattr(getattr(found[path], "identity", None), "sha256", None) for path in (paths[0], paths[2])] == [
        hashlib.sha256(b"c" * 100).hexdigest(),
        hashlib.sha256(b"a" * 100).hexdigest(),
    ]
    assert told == dict.fromkeys((paths[0], *paths[2:]), 100)


def test_giving_up_ends_every_read_at_its_next_block(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(noise(2 * BLOCK))
    read, given_up = set[str](), threading.Event()
    paths = [str(tmp_path / name) for name in "abcdefgh"]

    def progress(path: str, done: int) -> None:
        read.add(path)
        if path != paths[0]:
            given_up.wait(10)

    results = identify_all(paths, Records(None), wanted=frozenset(), progress=progress)
    assert next(results)[0] == paths[0]
    threading.Timer(0.2, given_up.set).start()
    results.close()
    assert len(read) <= 1 + 2 * usable_cores()
