"""Writing the history off the hot path: a bounded queue, a thread, and patience with a disk that is full."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from forgediag.history.store import History, HistoryError, Row
from forgediag.model import Gap

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Rows that wait at most; the oldest go first when the disk takes none for hours."""

EVERY, RETRY, TRIM = 1.0, 10.0, 3600.0
"""Seconds between two writes, until a write that failed is tried again, and between two looks at age and size."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much history is kept: days, and bytes of its file."""

    days: float = 90.0
    size: int = 20 * 1024 * 1024


class HistoryWriter:
    """Takes rows from any thread without waiting; a row is in the file about a second later."""

    def __init__(self, directory: Path, limits: Limits | None = None, *, wall: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            directory: where the file is.
            limits: how much is kept.
            wall: Unix seconds.
        """
        self._directory, self._limits, self._wall = directory, limits or Limits(), wall
        self._rows: deque[Row] = deque(maxlen=QUEUE)
        self._wake = threading.Condition()
        self._stopping = False
        self._history: History | None = None
        self._trim_at = 0.0
        self._thread = threading.Thread(target=self._run, name="forgediag-history", daemon=True)
        self.gap: Gap | None = None
        self.written = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def add(self, row: Row) -> None:
        """Hand over a row."""
        self._rows.append(row)

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                self._wake.wait(EVERY if self.gap is None else RETRY)
            self.flush()
        if self._history is not None:
            self._history.close()

    def flush(self) -> None:
        """Write what waits, in one transaction. On failure everything waits on, and `gap` says why."""
        rows: list[Row] = []
        try:
            if self._history is None:
                self._history = History(self._directory, create=True)
            while self._rows:
                rows.append(self._rows.popleft())
            if rows:
                self._history.write(rows)
                self.written += len(rows)
            if self._wall() >= self._trim_at:
                self._trim_at = self._wall() + TRIM
                self._history.trim(self._wall() - self._limits.days * 86400, self._limits.size)
        except HistoryError as error:
            self._failed(error, rows)
        else:
            if self.gap is not None:
                log.warning("the history is written again")
            self.gap = None

    def _failed(self, error: HistoryError, rows: list[Row]) -> None:
        """Keep what was not written: a disk that is full may have room later."""
        if self.gap is None:
            log.warning("%s; tried again every %g s", error, RETRY)
        self.gap = Gap(str(error), "failed")
        room = QUEUE - len(self._rows)
        self._rows.extendleft(reversed(rows[len(rows) - min(room, len(rows)) :]))
        if self._history is not None:
            self._history.close()
        self._history = None
