"""A read leaves the page cache as it was, with uncached reads and where the kernel has none."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import pytest

from forgediag.sources import reading
from forgediag.sources.identity import Stopped, fingerprint, identify
from forgediag.sources.resident import pages

MIB = 1024 * 1024
SIZE = 48 * MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the page cache is looked at with mincore: Linux only")


def resident(path: Path) -> bytes:
    """A 1 for each page in the page cache."""
    with path.open("rb") as file:
        return pages(file.fileno(), path.stat().st_size)


class _Failing:
    def __call__(self, *_: object) -> int | None:
        return ctypes.c_void_p(-1).value


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    """A file that lies on the disk alone."""
    path = tmp_path / "cold.bin"
    path.write_bytes(os.urandom(SIZE))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if any(resident(path)):
        pytest.skip("this file system keeps its files in memory: nothing to leave alone")
    return path


@pytest.fixture(params=["uncached", "dropping"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "dropping":
        monkeypatch.setattr(reading, "_DONTCACHE", 0x4000_0000)  # a flag no kernel knows: EOPNOTSUPP
    return str(request.param)


def test_a_cold_file_stays_cold(cold: Path, way: str) -> None:
    identify(str(cold))
    assert sum(resident(cold)) == 0


def test_what_others_have_in_memory_stays_there(cold: Path, way: str) -> None:
    with cold.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for offset in (0, 7 * MIB + 12_288, SIZE - MIB):
            os.pread(file.fileno(), MIB, offset)
        before = resident(cold)
        assert sum(before) >= 3 * MIB // mmap.PAGESIZE
        identify(str(cold))
        assert resident(cold) == before


def test_a_read_that_is_stopped_leaves_nothing_either(cold: Path, way: str) -> None:
    with pytest.raises(Stopped):
        identify(str(cold), gate=lambda done: done < 12 * MIB)
    assert sum(resident(cold)) == 0


def test_samples_leave_nothing_either(cold: Path, way: str) -> None:
    fingerprint(str(cold))
    assert sum(resident(cold)) == 0


def test_cached_on_request(cold: Path) -> None:
    identify(str(cold), uncached=False)
    assert sum(resident(cold)) == SIZE // mmap.PAGESIZE


def test_where_the_kernel_will_not_say_nothing_is_dropped(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        """A C library whose calls all fail; argument types may be set on them."""

        def __init__(self) -> None:
            self.mmap = self.munmap = self.mincore = _Failing()

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Refusing())
    with cold.open("rb") as file:
        assert set(pages(file.fileno(), SIZE)) == {1}
