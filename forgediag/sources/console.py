"""Forge's console followed as it is written: a file, a systemd unit's journal, or a command's output."""

from __future__ import annotations

import codecs
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from forgediag.forge.log import LogReader, Seen
from forgediag.model import Gap
from forgediag.sources.written import Written

KEPT = 20_000
"""Events kept for whoever takes them; a generation of 150 steps makes some 400."""

CATCH_UP = 256 * 1024
"""Bytes before the end of a file that are read at the start, to know what is loaded by now."""

PACE, BUSY_PACE = 0.04, 0.01
"""Seconds between two looks at a file, and while something was printed where the kernel tells no write.

Limits of phases are as sharp as that.

A model that is loaded grows by a twentieth of its size in 20 ms (seen on an H100). A look takes some 5 microseconds.
"""

BUSY = 5.0
"""Seconds after something was printed in which the next line may come at any moment."""

ROTATED = 0.2
"""Seconds between two looks whether the file was rotated or truncated: they cost five times a read at its end."""

BLOCK = 256 * 1024

AGAIN = 5.0
"""Seconds until a command that ended is started again."""


class ConsoleFollower:
    """Follows one console in a thread of its own and hands over its events.

    Bytes are taken as UTF-8 (UTF-16 where a byte order mark says so: PowerShell's redirection), wrong ones replaced. A
    file may not exist yet, be rotated (by renaming or copying) or truncated: the follower goes on with what is there.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        command: Sequence[str] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            path: a file that Forge's console goes to.
            command: or a command whose output is Forge's console.
            clock: what events are stamped with, in seconds.
        """
        self._path, self._command, self._clock = path, tuple(command), clock
        self._events: deque[Seen] = deque(maxlen=KEPT)
        self._reader = LogReader()
        self._decoder: codecs.IncrementalDecoder | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forge-console", daemon=True)
        self.gap: Gap | None = Gap("Forge's console was not read yet", "starting", expected=True)
        self.history: tuple[Seen, ...] = ()
        self.on_events: Callable[[Sequence[Seen]], object] | None = None
        """Told in the follower's thread what there is to take."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and the command if one is followed."""
        self._stop.set()
        if self._child is not None:
            self._child.terminate()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def take(self) -> list[Seen]:
        """The events since the last call, from any thread."""
        taken: list[Seen] = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def _run(self) -> None:
        if self._path is not None:
            self._follow_file(self._path)
        else:
            self._follow_command()

    def _follow_command(self) -> None:
        while not self._stop.is_set():
            try:
                self._child = child = subprocess.Popen(  # noqa: S603 - the command its owner configured
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
                )
            except OSError as error:
                self.gap = Gap(f"{self._command[0]} cannot be run: {error.strerror or error}", "missing")
                return
            self.gap, self._decoder = None, None
            with child:
                while child.stdout is not None and (piece := child.stdout.read(BLOCK)):
                    self._feed(piece)
            if not self._stop.wait(AGAIN):
                self.gap = Gap(
                    f"{self._command[0]} ended with status {child.returncode}; it is started again", "failed"
                )

    def _follow_file(self, path: str) -> None:
        handle, busy_until, look_at = self._open(path), 0.0, 0.0
        written = Written(path)
        while not self._stop.is_set():
            now = self._clock()
            written.wait(ROTATED if written.works else BUSY_PACE if now < busy_until else PACE)
            if handle < 0 and (handle := self._open(path)) >= 0:
                written.close()
                written = Written(path)
            if self._read(handle):
                busy_until = now + BUSY
            elif now >= look_at:
                look_at = now + ROTATED
                if self._gone(path, handle):
                    os.close(handle)
                    handle = -1
        written.close()
        if handle >= 0:
            os.close(handle)

    def _open(self, path: str) -> int:
        """A handle of the file, -1 where it cannot be read. What is in it at the very first is history."""
        first = self.gap is not None and self.gap.kind == "starting"
        handle = -1
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
            self._decoder, self._reader = None, LogReader()
            if first:
                os.lseek(handle, max(0, os.fstat(handle).st_size - CATCH_UP), os.SEEK_SET)
                while piece := os.read(handle, BLOCK):
                    self._feed(piece)
                self.history = tuple(self.take())
        except OSError as error:
            self._fail(error)
            if handle >= 0:
                os.close(handle)
            return -1
        self.gap = None
        return handle

    def _fail(self, error: OSError) -> None:
        reason = f"Forge's console {self._path} cannot be read: {error.strerror or error}"
        self.gap = Gap(reason, "missing" if isinstance(error, FileNotFoundError) else "failed")

    def _read(self, handle: int) -> bool:
        try:
            piece = os.read(handle, BLOCK) if handle >= 0 else b""
        except OSError as error:
            self._fail(error)
            return False
        if piece:
            self.gap = None
            self._feed(piece)
        return bool(piece)

    def _gone(self, path: str, handle: int) -> bool:
        """Whether the file was rotated away; a truncated one is read again from its start."""
        if handle < 0:
            return False
        try:
            here, there = os.fstat(handle), os.stat(path)  # noqa: PTH116 - five times a second
        except OSError:
            return True
        if here.st_size < os.lseek(handle, 0, os.SEEK_CUR):
            os.lseek(handle, 0, os.SEEK_SET)
            self._decoder = None
        return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)

    def _feed(self, piece: bytes) -> None:
        if self._decoder is None:
            wide = piece[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
            self._decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8")("replace")
        events = self._reader.feed(self._decoder.decode(piece), self._clock())
        self._events.extend(events)
        if events and self.on_events is not None:
            self.on_events(events)


def journal(unit: str) -> tuple[str, ...]:
    """The command that follows a systemd unit's output."""
    return "journalctl", "--follow", "--lines=0", "--output=cat", f"--unit={unit}"
