"""A file on disk as a parser sees it: opened without waiting, and read up to a limit."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of one file that are read in all to judge its header."""

HEADER_LIMIT = 4 * 1024 * 1024
"""The longest piece of a file that is read at once, in bytes; the headers of published models are under 1 MB.

A hostile header of this length was measured to cost 150 MB for a moment."""


class FileWindow:
    """An open regular file, of which at most `READ_LIMIT` bytes are handed out."""

    __slots__ = ("_handle", "_left", "size")

    def __init__(self, handle: int, size: int, limit: int = READ_LIMIT) -> None:
        self._handle = handle
        self._left = limit
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on: fewer than `length` only at the end of the file.

        Raises:
            OSError: the file cannot be read there, or the limit is reached.
        """
        length = min(length, max(0, self.size - offset))
        if length > HEADER_LIMIT:
            raise OSError(f"has a header of {offset + length:,} bytes, more than is read here")
        self._left -= length
        if self._left < 0:
            raise OSError("needs more to be judged than is read here")
        return _at(self._handle, offset, length)

    def written(self) -> int:
        """Where the last byte that the disk holds ends: less than `size` for a file that ends in a hole."""
        end = getattr(os, "SEEK_HOLE", None)
        if end is None:
            return self.size
        known = 0
        try:
            while known < self.size:
                data = os.lseek(self._handle, known, os.SEEK_DATA)
                known = os.lseek(self._handle, data, end)
        except OSError as error:
            return known if error.errno == errno.ENXIO else self.size
        return self.size


def _at(handle: int, offset: int, length: int) -> bytes:
    pread = getattr(os, "pread", None)
    if pread is None:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, length)
    piece: bytes = pread(handle, length, offset)
    return piece


@contextmanager
def opened(local: str) -> Generator[FileWindow, None, None]:
    """A file's window. Never waits: a device, a folder or a pipe is refused, also one that took the file's place.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    handle = os.open(local, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("is a directory" if stat.S_ISDIR(found.st_mode) else "is not a regular file")
        yield FileWindow(handle, found.st_size)
    finally:
        os.close(handle)
