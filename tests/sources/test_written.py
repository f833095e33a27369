"""A file that is written to is told at once by a real kernel; where none tells, time passes."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from pathlib import Path

import pytest

from forgediag.sources.written import Written

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")


@linux
def test_a_write_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    written = Written(str(path))
    written.wait(0.01)
    assert not written.works
    threading.Timer(0.1, path.write_text, ("a line\n",)).start()
    began = time.monotonic()
    written.wait(30.0)
    assert time.monotonic() - began < 20
    assert written.works
    written.close()


@linux
def test_what_was_told_once_is_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    written = Written(str(path))
    path.write_text("a line\n", "utf-8")
    written.wait(30.0)
    began = time.monotonic()
    written.wait(0.1)
    assert time.monotonic() - began >= 0.09
    written.close()


class Refusing:
    """A C library whose inotify has no more instances to give."""

    def __init__(self, name: object) -> None:
        pass

    def inotify_init1(self, flags: int) -> int:
        return -1


def test_where_nothing_tells_of_writes_time_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    watches = [Written(str(tmp_path / "missing.log"))]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        watches.append(Written(str(path)))
    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "CDLL", Refusing)
        watches.append(Written(str(path)))
    for written in watches:
        path.write_text("a line\n", "utf-8")
        began = time.monotonic()
        written.wait(0.05)
        assert time.monotonic() - began >= 0.04
        assert not written.works
        written.close()
