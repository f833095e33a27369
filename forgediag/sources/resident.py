"""Which parts of a file were in the page cache before it was read, and dropping those that were not."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import time
from mmap import PAGESIZE

AHEAD = 64 * 1024 * 1024
"""Bytes behind the last read that the kernel may have read ahead: 24 MiB were seen where 8 MiB is the setting."""

_ABSENT = re.compile(rb"\x00+")
_RESIDENT = bytes(value & 1 for value in range(256))  # bit 0 says resident, the others are reserved
_CACHESTAT = 451  # Linux 6.5, the same number on every machine that runs Forge
_PATIENCE = 50
_PAUSE = 0.01


class Resident:
    """The page cache's view of one open file when this was made."""

    def __init__(self, handle: int, size: int) -> None:
        self._handle = handle
        self._size = size
        self._pages = _before(handle, size)
        self._dropped = 0

    def passed(self, offset: int, length: int) -> None:
        """Drop what reading up to here brought in: only pages that were absent before."""
        self._drop(self._dropped, offset + length)
        self._dropped = offset + length

    def leave(self, end: int) -> None:
        """Drop what the kernel read ahead of the last read, which ended here.

        Pages on their way from the disk cannot be dropped before they have come (observed on Linux 6.18): they are
        waited for, half a second at most.
        """
        after = min(end + AHEAD, self._size)
        stay = self._pages.count(b"\x01", end // PAGESIZE, -(-after // PAGESIZE))
        for _ in range(_PATIENCE):
            self._drop(end, after)
            left = cached(self._handle, end // PAGESIZE * PAGESIZE, after - end // PAGESIZE * PAGESIZE)
            if left is None or left <= stay:
                return
            time.sleep(_PAUSE)

    def _drop(self, start: int, end: int) -> None:
        # A page is dropped once it has been passed whole: the one that both blocks share is left to the next.
        first, last = start // PAGESIZE, -(-end // PAGESIZE) if end >= self._size else end // PAGESIZE
        for run in _ABSENT.finditer(self._pages, first, last):
            where, length = run.start() * PAGESIZE, (run.end() - run.start()) * PAGESIZE
            os.posix_fadvise(self._handle, where, length, os.POSIX_FADV_DONTNEED)


def _before(handle: int, size: int) -> bytes:
    count = -(-size // PAGESIZE)
    there = cached(handle, 0, size)
    if there == 0:
        return bytes(count)
    return b"\x01" * count if there is not None and there >= count else pages(handle, size)


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


def cached(handle: int, offset: int, size: int) -> int | None:
    """How many pages of a part of a file the page cache has, those on their way included; None before Linux 6.5."""
    found = (ctypes.c_uint64 * 5)()
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _Range(offset, size)
    failed = libc.syscall(
        _CACHESTAT, ctypes.c_uint(handle), ctypes.byref(wanted), ctypes.byref(found), ctypes.c_uint(0)
    )
    return None if failed else int(found[0])


def pages(handle: int, size: int) -> bytes:
    """A byte for each page of a file (mincore): 1 where it is resident, else 0.

    Where the kernel will not say, all are: nothing is dropped. Linux tells the truth only to who owns the file or may
    write it, and "resident" to everyone else.
    """
    count = -(-size // PAGESIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    found = ctypes.create_string_buffer(count)
    where = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, 0)
    if where in {None, ctypes.c_void_p(-1).value}:
        return b"\x01" * count
    try:
        return found.raw.translate(_RESIDENT) if libc.mincore(where, size, found) == 0 else b"\x01" * count
    finally:
        libc.munmap(where, size)
