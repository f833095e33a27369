"""Which parts of a file were in the page cache before it was read, and dropping those that were not."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from mmap import PAGESIZE

__all__ = ["AHEAD", "PAGESIZE", "Resident", "pages"]

AHEAD = 64 * 1024 * 1024
"""Bytes behind the last read that the kernel may have read ahead: 24 MiB were seen where 8 MiB is the setting."""

_ABSENT = re.compile(rb"[\x00\x02\x04\x06\x08\x0a\x0c\x0e]+")  # bit 0 says resident, the others are reserved


class Resident:
    """The page cache's view of one open file when this was made (mincore; a byte a page)."""

    def __init__(self, handle: int, size: int) -> None:
        self._handle = handle
        self._size = size
        self._pages = pages(handle, 0, size)
        self._dropped = 0

    def passed(self, offset: int, length: int) -> None:
        """Drop what reading up to here brought in: only pages that were absent before."""
        self._drop(self._dropped, offset + length)
        self._dropped = offset + length

    def leave(self) -> None:
        """Drop what the kernel read ahead."""
        self._drop(self._dropped, min(self._dropped + AHEAD, self._size))

    def _drop(self, start: int, end: int) -> None:
        # A page is dropped once it has been passed whole: the one that both blocks share is left to the next.
        first, last = start // PAGESIZE, -(-end // PAGESIZE) if end >= self._size else end // PAGESIZE
        for run in _ABSENT.finditer(self._pages, first, last):
            os.posix_fadvise(
                self._handle, run.start() * PAGESIZE, (run.end() - run.start()) * PAGESIZE, os.POSIX_FADV_DONTNEED
            )


def pages(handle: int, offset: int, size: int) -> bytes:
    """A byte for each page of a part of a file that begins at a page, bit 0 set where it is resident.

    Where the kernel will not say, all are: nothing is dropped. Linux tells the truth only
    to who owns the file or may write it, and "resident" to everyone else.
    """
    count = -(-size // PAGESIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    found = ctypes.create_string_buffer(count)
    where = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, offset)
    if where in {None, ctypes.c_void_p(-1).value}:
        return b"\x01" * count
    try:
        return found.raw if libc.mincore(where, size, found) == 0 else b"\x01" * count
    finally:
        libc.munmap(where, size)
