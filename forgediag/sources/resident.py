"""Which parts of a file were in the page cache before it was read, and dropping those that were not."""

from __future__ import annotations

import ctypes
import mmap
import os
import re

AHEAD = 16 * 1024 * 1024
"""Bytes behind the last read that the kernel may have read ahead; 8 MiB is the largest setting seen."""

_ABSENT = re.compile(rb"[\x00\x02\x04\x06\x08\x0a\x0c\x0e]+")  # bit 0 says resident, the others are reserved


class Resident:
    """The page cache's view of one open file when this was made (mincore; a byte a page)."""

    def __init__(self, handle: int, size: int) -> None:
        self._handle = handle
        self._size = size
        self._pages = _mincore(handle, size)
        self._dropped = 0

    def passed(self, offset: int, length: int) -> None:
        """Drop what reading up to here brought in: only pages that were absent before."""
        self._drop(self._dropped, offset + length)
        self._dropped = offset + length

    def leave(self) -> None:
        """Drop what the kernel read ahead."""
        self._drop(self._dropped, min(self._dropped + AHEAD, self._size))

    def _drop(self, start: int, end: int) -> None:
        page = mmap.PAGESIZE
        # A page is dropped once it has been passed whole: the one that both blocks share is left to the next.
        first, last = start // page, -(-end // page) if end >= self._size else end // page
        for run in _ABSENT.finditer(self._pages, first, last):
            os.posix_fadvise(self._handle, run.start() * page, (run.end() - run.start()) * page, os.POSIX_FADV_DONTNEED)


def _mincore(handle: int, size: int) -> bytes:
    """A byte for each page, bit 0 set where it is resident. Where the kernel will not say, all are: nothing is dropped.

    Linux tells the truth only to who owns the file or may write it, and "resident" to everyone else.
    """
    count = -(-size // mmap.PAGESIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    pages = ctypes.create_string_buffer(count)
    where = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, 0)
    if where in {None, ctypes.c_void_p(-1).value}:
        return b"\x01" * count
    try:
        return pages.raw if libc.mincore(where, size, pages) == 0 else b"\x01" * count
    finally:
        libc.munmap(where, size)
