"""What the system says of a file without reading it, by which one version is told from the next."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size in bytes, times of the last write and of the last change of any kind in ns, inode.

    A write that sets the time back leaves its trace in `changed_ns`; a replaced file has another inode. On Windows
    `changed_ns` is the time of creation. Decay of the disk and a store through a shared map leave no trace at all.
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """The stamp out of a stat."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    @classmethod
    def at(cls, path: str) -> Stamp:
        """A file's stamp now.

        Raises:
            OSError: it cannot be looked at.
        """
        return cls.of(os.stat(path))  # noqa: PTH116 - paths are strings here

    @classmethod
    def from_row(cls, row: Sequence[int]) -> Stamp:
        """The stamp out of `row()`. Raises ValueError or TypeError for anything else."""
        size, modified, changed, inode = row
        return cls(int(size), int(modified), int(changed), int(inode))

    def row(self) -> list[int]:
        """The stamp as JSON can hold it."""
        return [self.size, self.modified_ns, self.changed_ns, self.inode]

    @property
    def newest(self) -> float:
        """Unix seconds of the last change it tells."""
        return max(self.modified_ns, self.changed_ns) / 1e9


_WORDS = {
    errno.ESTALE if hasattr(errno, "ESTALE") else -1: "is on a network disk that has gone (stale file handle)",
    errno.EIO: "cannot be read: the disk reports an error",
    errno.ELOOP: "is a loop of links",
    errno.ENAMETOOLONG: "has a path too long for this system",
}


def reason(error: Exception) -> str:
    """Why a file cannot be looked at or read, to follow its name in a sentence."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read by the user forgediag runs as"
    if isinstance(error, OSError):
        return _WORDS.get(error.errno or 0) or error.strerror or str(error)
    return str(error)
