"""Waiting for a file to be written to: the kernel tells at once where it can (inotify on Linux), else time passes."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time

IN_MODIFY = 0x2
IN_NONBLOCK_CLOEXEC = 0o2004000

PAUSE = 0.004
"""Seconds after a write in which others are taken together: a console may print a thousand lines a second."""


class Written:
    """Tells when a file was written to. `works` once it was told of a write: network and shared folders never do."""

    def __init__(self, path: str) -> None:
        """Watch a file; without inotify, or where it refuses, `wait` only lets time pass."""
        self.works = False
        self._handle, self._poll = _watched(path), None
        if self._handle >= 0:
            self._poll = select.poll()
            self._poll.register(self._handle, select.POLLIN)

    def wait(self, seconds: float) -> None:
        """Return when the file was written to, after so many seconds at the latest."""
        if self._poll is None:
            time.sleep(seconds)
        elif self._poll.poll(seconds * 1000):
            self.works = True
            time.sleep(PAUSE)
            os.read(self._handle, 65536)

    def close(self) -> None:
        """Watch no longer."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._poll = -1, None


def _watched(path: str) -> int:
    """A handle that can be read when the file was written to, -1 where there is none to be had."""
    if not sys.platform.startswith("linux"):
        return -1
    libc = ctypes.CDLL(None)
    if (handle := libc.inotify_init1(IN_NONBLOCK_CLOEXEC)) < 0:
        return -1
    if libc.inotify_add_watch(handle, os.fsencode(path), IN_MODIFY) < 0:
        os.close(handle)
        return -1
    return int(handle)
