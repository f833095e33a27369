"""Every file of a Forge read again over days, behind everything else: what `verify --full` does, never in a hurry."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forgediag.lockfile import Lock, LockError
from forgediag.model import Gap, Known, Troubled, Verdict, Verification
from forgediag.sources.identity import Changed, Gate
from forgediag.sources.inventory import Entry
from forgediag.sources.lock_file import lock_name, read_lock
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import Stamp, reason
from forgediag.sources.whole import read_whole

RETRY = 3600.0
"""Seconds until a file that could not be read is tried again."""

STARTING = Gap("the model files were not looked at yet", "starting", expected=True)


@dataclass(slots=True)
class Sweep:
    """The verification of one Forge's files.

    `see` and `verification` are called in one thread, `due` and `work` in another. `round` are the seconds in which
    every file is read once; `rate` the bytes a second at most.
    """

    records: Records
    lock_path: str | None
    round: float
    rate: float
    wall: Callable[[], float] = time.time
    _entries: tuple[Entry, ...] = ()
    _lock: Known[Lock] | None = None
    _lock_stamp: Stamp | None = None
    _failed: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    _looked: bool = False

    def see(self, entries: Sequence[Entry]) -> None:
        """The files as they are now."""
        self._entries = tuple(entries)
        self._looked = True
        if self.lock_path is not None:
            self._read_lock(self.lock_path)

    def due(self) -> float:
        """Seconds until a file is to be read; infinite without files."""
        now = self.wall()
        return min((max(0.0, self._due_at(entry) - now) for entry in self._entries), default=float("inf"))

    def work(self, gate: Gate) -> None:
        """Read the file that waits longest. `gate` stops it like `identify`'s."""
        entry = min(self._entries, key=self._due_at, default=None)
        if entry is None or self._due_at(entry) > self.wall():
            return
        started = time.monotonic()

        def paced(done: int) -> bool:
            while (ahead := done / self.rate - (time.monotonic() - started)) > 0:
                if not gate(done):
                    return False
                time.sleep(min(ahead, 0.5))
            return gate(done)

        try:
            record, _ = read_whole(entry.path, gate=paced, cores=1, wall=self.wall)
        except OSError as error:
            why = "changed while it was read" if isinstance(error, Changed) else reason(error)
            self._failed[entry.path] = self.wall(), why
            return
        self._failed.pop(entry.path, None)
        self.records.add(entry.path, record)

    def verification(self) -> Known[Verification]:
        """How all files stand."""
        if not self._looked:
            return STARTING
        if isinstance(self._lock, Gap):
            return self._lock
        judged = [self._judge(entry) for entry in self._entries] + list(self._missing())
        reads = [record.at for entry in self._entries if (record := self.records.last(entry.path)) is not None]
        since = self.wall() - self.round
        fresh = (entry for entry in self._entries if self._read_at(entry) >= since)
        return Verification(
            against="first read" if self._lock is None else "lock",
            counts=Counter(item.verdict for item in judged),
            total=sum(entry.stamp.size for entry in self._entries),
            fresh=sum(entry.stamp.size for entry in fresh),
            seconds=self.round,
            oldest=min(reads, default=None),
            troubled=tuple(item for item in judged if item.verdict not in {"ok", "pending"}),
        )

    def _judge(self, entry: Entry) -> Troubled:
        record, locked = self.records.last(entry.path), self._locked(entry.path)
        if (failed := self._failed.get(entry.path)) is not None:
            return Troubled(entry.path, "unreadable", failed[1], at=failed[0])
        if record is None or record.stamp != entry.stamp:
            return Troubled(entry.path, "pending", "not read yet")
        expected = locked or record.first or record.sha256
        return Troubled(entry.path, _verdict(record, expected), _why(record), expected, record.sha256, record.at)

    def _missing(self) -> Iterator[Troubled]:
        if self.lock_path is None or not isinstance(self._lock, Lock):
            return
        there = {lock_name(entry.path, self._base()) for entry in self._entries}
        for name, file in self._lock.files.items():
            if name not in there and not os.path.exists(os.path.join(self._base(), name)):  # noqa: PTH110, PTH118
                yield Troubled(name, "missing", "it is locked, and not there any more", file.sha256)

    def _locked(self, path: str) -> str | None:
        if not isinstance(self._lock, Lock):
            return None
        file = self._lock.files.get(lock_name(path, self._base()))
        return None if file is None else file.sha256

    def _base(self) -> Path:
        return Path(os.path.abspath(self.lock_path or ".")).parent  # noqa: PTH100 - links stay as they are

    def _read_at(self, entry: Entry) -> float:
        record = self.records.last(entry.path)
        return record.at if record is not None and record.stamp == entry.stamp else float("-inf")

    def _due_at(self, entry: Entry) -> float:
        failed = self._failed.get(entry.path)
        return failed[0] + RETRY if failed is not None else self._read_at(entry) + self.round

    def _read_lock(self, path: str) -> None:
        try:
            stamp = Stamp.at(path)
            if stamp != self._lock_stamp:
                self._lock, self._lock_stamp = read_lock(Path(path)), stamp
        except OSError as error:
            self._lock, self._lock_stamp = Gap(f"the lock file {path} {reason(error)}", "missing"), None
        except LockError as error:
            self._lock, self._lock_stamp = Gap(f"the lock file {path} {error}", "invalid"), None


def _verdict(record: Record, expected: str) -> Verdict:
    if record.sha256 == expected:
        return "ok"
    return "corrupted" if record.first == expected else "changed"


def _why(record: Record) -> str:
    if record.first is None:
        return "it has other contents"
    written = "no trace of a write" if record.traceless else "whatever wrote it set its time back"
    return f"its contents changed, though its size and its time of writing did not: {written}"
