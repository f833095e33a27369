"""A file read from end to end by someone who must not disturb: no trace in the page cache, nobody's pages evicted."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from types import TracebackType

from forgediag.sources.resident import Resident

BLOCK = 4 * 1024 * 1024
"""Bytes read at a time. Uncached reads in smaller pieces were measured at half the speed (ext4, Linux 6.18)."""

_DONTCACHE = 0x80  # RWF_DONTCACHE, Linux 6.14
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


class Changed(OSError):  # noqa: N818 - a reason, told like the system's own
    """The file is not the one that was opened any more: cut, written to or replaced while it was read."""


class Reading:
    """One regular file, opened to be read once.

    With `uncached`, what is read does not stay in the page cache, and what was there before stays: by uncached reads
    where the kernel has them (Linux 6.14, ext4 and XFS and others), else by dropping each block that was not resident
    when the file was opened. Windows has neither for a file opened this way: there the file is marked as read in
    sequence, and its pages go first.
    """

    def __init__(self, path: str, *, uncached: bool = True, samples: bool = False) -> None:
        """Open the file. Never waits: a pipe or device is refused.

        Args:
            path: the file.
            uncached: whether to leave the page cache as it was.
            samples: whether a few small pieces are all that will be read: the kernel then reads nothing ahead.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        self._path = path
        self._file = _open(path)
        self._found = os.fstat(self._file.fileno())
        self.size = self._found.st_size
        if samples and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        self._flags = _DONTCACHE if uncached and sys.platform == "linux" else 0
        self._resident = Resident(self._file.fileno(), self.size) if self._flags else None
        self._end = 0

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._resident is not None and 0 < self._end < self.size:
            self._resident.leave(self._end)
        self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, fewer only at the end of the file.

        Raises:
            OSError: the file cannot be read there.
        """
        buffer = bytearray(min(length, max(0, self.size - offset)))
        return bytes(buffer[: self.into(memoryview(buffer), offset)])

    def into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from `offset` on; the number of bytes read, fewer only at the end of the file.

        Raises:
            OSError: the file cannot be read there.
        """
        done = 0
        while done < len(buffer) and (count := self._some(buffer[done:], offset + done)):
            done += count
        if self._resident is not None and not self._flags:
            self._resident.passed(offset, done)
        self._end = offset + done
        return done

    def check(self) -> None:
        """Make sure that what was read is what the path names now.

        Raises:
            Changed: it was written to, or another file has its name.
            OSError: the name has gone.
        """
        after, named = os.fstat(self._file.fileno()), os.stat(self._path)  # noqa: PTH116 - as everywhere here
        if _traits(after) != _traits(self._found) or named.st_ino != self._found.st_ino:
            raise Changed("it changed while it was read")

    def _some(self, buffer: memoryview, offset: int) -> int:
        if not self._flags:
            self._file.seek(offset)
            return self._file.readinto(buffer) or 0
        try:
            return os.preadv(self._file.fileno(), [buffer], offset, self._flags)
        except NotImplementedError:  # Python was built for a C library without preadv2
            pass
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        self._flags = 0
        return self._some(buffer, offset)


def _open(path: str) -> io.FileIO:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_SEQUENTIAL", 0)
    file = io.FileIO(path, "rb", opener=lambda name, _: os.open(name, flags))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("is not a regular file")
    return file


def _traits(found: os.stat_result) -> tuple[int, int, int]:
    # st_ctime is the time of creation on Windows: it cannot change there, and says nothing
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
