"""SHA-256 of model files in the background: one file at a time, behind everything else, remembered on disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from forgediag.model import Fault, Gap, Known
from forgediag.sources.identity import Changed, Gate, Stopped
from forgediag.sources.records import SKEW, Record, Records
from forgediag.sources.stamp import Stamp
from forgediag.sources.thread import step_back
from forgediag.sources.whole import read_whole, stretches

_HASHING = Gap("the selected model files are being hashed", "starting")


class Chore(Protocol):
    """Reading that can wait: done when no file is asked for."""

    def due(self) -> float:
        """Seconds until there is something to read; infinite for nothing."""
        ...

    def work(self, gate: Gate) -> None:
        """Read one file. Raises `Stopped` when the gate says so."""
        ...


class Hasher:
    """Hashes the files it is asked for and puts them in the records. `sha256` never waits.

    Its thread starts with the first file to hash, runs at the lowest CPU and I/O priority the system gives a thread,
    and stands still while `busy()` is true. A file is left alone until it has been so by others for `settle` seconds:
    two writes within one tick of a file's clock have one time, so a younger version could be remembered wrongly.
    A file that could not be hashed is tried again after `retry` seconds.
    """

    def __init__(
        self,
        records: Records,
        *,
        busy: Callable[[], bool] = lambda: False,
        pause: float = 0.5,
        settle: float = 5.0,
        retry: float = 600.0,
    ) -> None:
        """Prepare; nothing is read.

        Args:
            records: what is known already, and where what is found out goes.
            busy: whether to stand still, asked before each block (a job runs).
            pause: seconds between two questions while busy.
            settle: how old a file's last change must be, in seconds by its own clock.
            retry: seconds until a file that could not be hashed is tried again.
        """
        self._records = records
        self._settle = settle
        self._retry = retry
        self._busy = busy
        self._pause = pause
        self._failed: dict[str, tuple[Stamp, Gap, float]] = {}
        self._read: set[str] = set()
        self._sampled: dict[str, tuple[Stamp, Fault | None]] = {}
        self._wanted: dict[str, Stamp] = {}
        self._chores: list[Chore] = []
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def sha256(self, path: str, version: Stamp) -> Known[str]:
        """The hash of this version of a file; a gap while it is hashed, or when it could not be."""
        with self._lock:
            if (record := self._record(path, version)) is not None:
                return record.sha256
            failed = self._failed.get(path)
            result = failed[1] if failed is not None and failed[0] == version else _HASHING
            waits = failed is not None and result is failed[1] and time.monotonic() < failed[2]
            if not waits and not self._stop.is_set():
                self._wanted[path] = version
                self._wake()
        return result

    def damage(self, path: str, version: Stamp) -> Fault | None:
        """What is wrong with this version of a file beyond its header; until it was read whole, a look at samples."""
        if (record := self._record(path, version)) is not None:
            return record.damage
        known = self._sampled.get(path)
        if known is None or known[0] != version:
            try:
                known = version, stretches(path)
            except OSError:
                known = version, None
            self._sampled[path] = known
        return known[1]

    def _record(self, path: str, version: Stamp) -> Record | None:
        """What this version is, as far as it is known: read by this process, or long enough after its last change."""
        if (trusted := self._records.trusted(path, version)) is not None or path not in self._read:
            return trusted
        record = self._records.last(path)
        return record if record is not None and record.stamp == version else None

    def look_after(self, chore: Chore) -> None:
        """Do this too, from now on, whenever no file is asked for. Call it again when its `due` has changed."""
        with self._lock:
            if chore not in self._chores:
                self._chores.append(chore)
            self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="forgediag-hashing", daemon=True)
            self._thread.start()
        self._lock.notify()

    def close(self) -> None:
        """Stop at the next block and wait for that."""
        self._stop.set()
        with self._lock:
            self._lock.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        step_back()
        while (item := self._next()) is not None:
            if not isinstance(item, tuple):
                with suppress(Stopped):
                    item.work(self._chore_gate)
                continue
            path, version = item
            try:
                failed = self._hash(path, version)
            except Stopped:
                return
            with self._lock:
                if failed is not None:
                    self._failed[path] = version, failed, time.monotonic() + self._retry
                if self._wanted.get(path) == version:
                    del self._wanted[path]

    def _next(self) -> tuple[str, Stamp] | Chore | None:
        with self._lock:
            while not self._stop.is_set():
                waits = {path: _settles(path, self._settle) for path in self._wanted}
                path = min(waits, key=lambda path: waits[path], default=None)
                if path is not None and waits[path] <= 0:
                    return path, self._wanted[path]
                if path is None and (chore := min(self._chores, key=_due, default=None)) is not None:
                    if (seconds := _due(chore)) <= 0:
                        return chore
                    self._lock.wait(min(seconds, 60.0))
                else:
                    self._lock.wait(None if path is None else waits[path])
            return None

    def _chore_gate(self, done: int) -> bool:
        return self._gate(done) and not self._wanted

    def _hash(self, path: str, version: Stamp) -> Gap | None:
        """Read it; why that did not do."""
        name = os.path.basename(path)  # noqa: PTH119
        changed = Gap(f"{name} changed while it was hashed")
        try:
            if Stamp.at(path) != version:
                return changed
            record, _ = read_whole(path, gate=self._gate, cores=1)
        except Changed:
            return changed
        except OSError as error:
            return Gap(f"{name} cannot be hashed: {error.strerror or error}")
        self._read.add(path)
        self._records.add(path, record)
        return None if record.stamp == version else changed

    def _gate(self, done: int) -> bool:  # noqa: ARG002 - a Gate
        while self._busy() and not self._stop.wait(self._pause):
            pass
        return not self._stop.is_set()


def _due(chore: Chore) -> float:
    return chore.due()


def _settles(path: str, settle: float) -> float:
    """Seconds until a file's last change is `settle` seconds old: none for one that cannot be looked at.

    A time further in the future than clocks of file servers are apart is a copied one, and says nothing.
    """
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return 0.0
    ages = (time.time() - found.st_mtime, time.time() - found.st_ctime)
    return max([0.0, *(settle - age for age in ages if age > -SKEW)])
