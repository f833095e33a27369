"""Files read whole to know what they are: each once, at a pace that disturbs nobody, remembered at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial

from forgediag.sources.crew import Crew, at_once
from forgediag.sources.identity import Changed, Gate
from forgediag.sources.inventory import Entry
from forgediag.sources.patience import Beat, Hung, patiently
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import reason
from forgediag.sources.thread import step_back
from forgediag.sources.whole import USUAL, read_whole

PATIENCE = 60.0
"""Seconds a disk may be silent before its file is given up."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How files are read: at most `rate` bytes a second in all, standing still while `busy()`.

    `starts` is told once how many bytes are to be read, `told` of each file how many were. `wanted` are identities
    besides the SHA-256. `at_once` files are read at a time: None for as many as cores and disk allow.
    """

    rate: float | None = None
    busy: Callable[[], bool] = lambda: False
    starts: Callable[[int], None] = lambda _: None
    told: Callable[[str, int], None] = lambda path, done: None  # noqa: ARG005
    wanted: frozenset[str] = USUAL
    patience: float = PATIENCE
    pause: float = 0.5
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file is now, or why that is not known; `read` whether it was read for it."""

    record: Record | None
    unreadable: str | None = None
    read: bool = False


class Reader:
    """Takes the identities of files. A file system that hung once is not asked again."""

    def __init__(self, records: Records, manner: Manner | None = None, *, full: bool = False) -> None:
        """Prepare; nothing is read.

        Args:
            records: what is known, and where what is found out goes.
            manner: how to read.
            full: trust no record.
        """
        self.records = records
        self._manner = manner or Manner()
        self._full = full
        self._pace = Pace(self._manner)
        self._hung: set[int] = set()
        self._links: dict[tuple[int, int], str] = {}

    def take_all(self, entries: Mapping[str, Entry]) -> Generator[tuple[str, Entry, Taken], None, None]:
        """Each file in the order given, from what is remembered of this very version, else read.

        Several are read at once where that is faster, the largest first. Closing the generator, as an interrupt does,
        ends every read at its next block.
        """
        firsts: dict[object, Entry] = {}
        for entry in entries.values():
            if self._full or self.records.trusted(entry.path, entry.stamp) is None:
                firsts.setdefault((entry.device, entry.stamp.inode) if entry.stamp.inode else entry.path, entry)
        ahead = sorted(firsts.values(), key=lambda entry: -entry.stamp.size)
        total = sum(entry.stamp.size for entry in ahead)
        self._manner.starts(total)
        workers = self._manner.at_once or at_once({entry.device for entry in ahead})

        def one(entry: Entry) -> Taken:
            # one that takes as long as all others together is read by all cores
            return self.take(entry, None if workers == 1 or entry.stamp.size * workers > total else 1)

        crew = Crew({entry.path: partial(one, entry) for entry in ahead}, workers)
        try:
            for name, entry in entries.items():
                yield name, entry, crew.result(entry.path) or self.take(entry)
        finally:
            self._pace.stop()
            crew.stop()

    def take(self, entry: Entry, cores: int | None = None) -> Taken:
        """One file: from what is remembered of this very version, else read."""
        if not self._full and (trusted := self.records.trusted(entry.path, entry.stamp)) is not None:
            return Taken(trusted)
        if (link := self._same_file(entry)) is not None:
            return Taken(self.records.add(entry.path, link))
        try:
            record = self._read(entry, cores)
        except Hung as error:
            self._hung.add(entry.device)
            return Taken(None, f"cannot be read: {error}")
        except Changed:
            return Taken(None, "changed while it was read")
        except OSError as error:
            return Taken(None, reason(error))
        self._links[entry.device, entry.stamp.inode] = entry.path
        return Taken(self.records.add(entry.path, record), read=True)

    def _same_file(self, entry: Entry) -> Record | None:
        """What another name of this file was found to be a moment ago."""
        other = self._links.get((entry.device, entry.stamp.inode)) if entry.stamp.inode else None
        record = self.records.last(other) if other is not None else None
        return record if record is not None and record.stamp == entry.stamp else None

    def _read(self, entry: Entry, cores: int | None) -> Record:
        if entry.device in self._hung:
            raise Hung("its disk did not answer before")

        def act(beat: Beat) -> Record:
            step_back()
            gate = self._pace.gate(entry.path, beat)
            record, _ = read_whole(entry.path, wanted=self._manner.wanted, gate=gate, cores=cores)
            gate(record.stamp.size)
            return record

        return patiently(act, self._manner.patience)


class Pace:
    """Lets the next block of any file through when it is its time."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._lock = threading.Lock()
        self._stopped = False
        self._next = 0.0

    def stop(self) -> None:
        """Let nothing through any more."""
        self._stopped = True

    def gate(self, path: str, beat: Beat) -> Gate:
        """The gate of one file."""
        before = 0

        def go(done: int) -> bool:
            nonlocal before
            beat()
            self._manner.told(path, done)
            while not self._stopped and self._busy():
                beat()
                time.sleep(self._manner.pause)
            until = self._due(max(0, done - before))
            before = done
            while not self._stopped and (left := until - time.monotonic()) > 0:
                beat()
                time.sleep(min(left, self._manner.pause))
            return not self._stopped

        return go

    def _busy(self) -> bool:
        with self._lock:
            return self._manner.busy()

    def _due(self, count: int) -> float:
        """When so many bytes more may have been read."""
        if not self._manner.rate:
            return 0.0
        takes = count / self._manner.rate
        with self._lock:
            self._next = max(self._next, time.monotonic() - takes) + takes
            return self._next
