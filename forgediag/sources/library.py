"""Files read whole to know what they are: each once, at a pace that disturbs nobody, remembered at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from forgediag.model.identity import Identity
from forgediag.sources.identity import Changed, identify
from forgediag.sources.inventory import Entry
from forgediag.sources.patience import Beat, Hung, patiently
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import Stamp, reason
from forgediag.sources.thread import step_back

PATIENCE = 60.0
"""Seconds a disk may be silent before its file is given up."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How files are read: at most `rate` bytes a second, standing still while `busy()`; `told` hears of the progress.

    `told` is given the bytes read of the file at hand. `wanted` are identities besides the SHA-256.
    """

    rate: float | None = None
    busy: Callable[[], bool] = lambda: False
    told: Callable[[int], None] = lambda _: None
    wanted: frozenset[str] = frozenset({"sha256", "autov3"})
    patience: float = PATIENCE
    pause: float = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file is now, or why that is not known; `read` whether it was read for it."""

    record: Record | None
    unreadable: str | None = None
    read: bool = False


@dataclass(slots=True)
class Reader:
    """Takes the identities of files, one after the other.

    `full` trusts no record. A file system that hung once is not asked again.
    """

    records: Records
    manner: Manner = field(default_factory=Manner)
    full: bool = False
    _hung: set[int] = field(default_factory=set[int])
    _links: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])

    def must_read(self, entry: Entry) -> bool:
        """Whether nothing that is remembered tells what this version of the file is."""
        return self.full or self.records.trusted(entry.path, entry.stamp) is None

    def take(self, entry: Entry) -> Taken:
        """One file: from what is remembered of this very version, else read."""
        if not self.full and (trusted := self.records.trusted(entry.path, entry.stamp)) is not None:
            return Taken(trusted)
        if (link := self._same_file(entry)) is not None:
            return Taken(self.records.add(entry.path, link))
        try:
            record = self._read(entry)
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

    def _read(self, entry: Entry) -> Record:
        if entry.device in self._hung:
            raise Hung("its disk did not answer before")
        began = time.time()

        def act(beat: Beat) -> tuple[Stamp, Identity]:
            step_back()
            stamp = _stamp(entry.path)
            identity = identify(entry.path, wanted=self.manner.wanted, gate=_Gate(self.manner, beat).open)
            if _stamp(entry.path) != stamp:
                raise Changed("it changed while it was read")
            return stamp, identity

        stamp, identity = patiently(act, self.manner.patience)
        return Record(stamp, identity.sha256, began, time.time(), identity.autov3, identity.blake3)


def _stamp(path: str) -> Stamp:
    return Stamp.of(os.stat(path))  # noqa: PTH116 - paths are strings here


class _Gate:
    """Lets the next block through when it is its time."""

    def __init__(self, manner: Manner, beat: Beat) -> None:
        self._manner = manner
        self._beat = beat
        self._started = time.monotonic()

    def open(self, done: int) -> bool:
        self._beat()
        self._manner.told(done)
        while self._manner.busy():
            self._beat()
            time.sleep(self._manner.pause)
            self._started += self._manner.pause
        if self._manner.rate:
            while (ahead := done / self._manner.rate - (time.monotonic() - self._started)) > 0:
                self._beat()
                time.sleep(min(ahead, self._manner.pause))
        return True
