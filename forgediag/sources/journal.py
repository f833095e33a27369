"""A file of lines that several processes add to: each line is there whole or not at all, whoever is killed when."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT = 1.0
"""Seconds to wait for another process at most: what it does under the lock takes a thousandth of that."""


class Journal:
    """One process's view of such a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode, self._at = 0, 0

    def news(self) -> Iterator[bytes]:
        """The lines that were added since the last call, by anyone; all of them after another process shortened it.

        A line that a kill cut is told once something follows it, and is for the caller to skip. A file that is
        missing or cannot be read has none.
        """
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._at:
                    self._inode, self._at = found.st_ino, 0
                file.seek(self._at)
                for line in file:
                    if line.endswith(b"\n"):
                        self._at += len(line)
                        yield line
        except OSError:
            return

    def add(self, lines: bytes) -> None:
        """Add lines with one write.

        Raises:
            OSError: they cannot be written; the file is as it was.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                _append(handle, lines)
            finally:
                os.close(handle)

    def shorten(self, lines: Callable[[], bytes]) -> None:
        """Replace all lines, in one step. `lines` is called when nobody else can add any: it should ask for the news.

        Raises:
            OSError: it cannot be written; the file is as it was.
        """
        with _alone(self.path):
            replace(self.path, text := lines())
            self._inode, self._at = self.path.stat().st_ino, len(text)


def _append(handle: int, lines: bytes) -> None:
    """Add lines at the end; what a kill left of an earlier one is ended before them."""
    size = os.fstat(handle).st_size
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        lines = lines if os.read(handle, 1) == b"\n" else b"\n" + lines
    written = os.write(handle, lines)
    if written < len(lines):
        os.ftruncate(handle, size)
        raise OSError("the disk is full")


@contextmanager
def _alone(path: Path) -> Generator[None, None, None]:
    """Nobody else is in here for this path; goes on without that where the disk knows no locks or somebody hangs."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + WAIT
        while not _locked(handle) and time.monotonic() < until:
            time.sleep(0.005)
        yield
    finally:
        os.close(handle)  # and with it the lock


def _locked(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - only there

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step: after a crash or on a full disk it is the old one or the new one, whole.

    Raises:
        OSError: it cannot be written; the old one is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o777)  # noqa: PTH101 - mkstemp's is for the owner alone
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
