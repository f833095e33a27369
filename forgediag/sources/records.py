"""What is known of files, by path and stamp: one line each, written as soon as it is known; a kill loses nothing."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forgediag.model import Fault, ModelFile
from forgediag.sources import verdicts
from forgediag.sources.journal import Journal
from forgediag.sources.stamp import Stamp
from forgediag.sources.verdicts import SCHEMA as VERDICTS
from forgediag.sources.verdicts import Verdict

JOURNAL = "files.jsonl"
"""The journal's name in the state directory."""

SCHEMA = "forgediag.records/1"
SKEW = 60.0
"""Seconds the clocks of file servers are apart at most; a file's time further in the future is a copied one."""

_TAKEN = ("autov3", "blake3", "crc32")
_TEXTS = (*_TAKEN, "first")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One file as it was read whole: its stamp before and after, and what it was. `began` and `at` are Unix seconds.

    `damage` is what is wrong with it that its header does not tell. `first` is its SHA-256 when it was first read with
    this size and time of writing, where that was another one; `traceless` says that its other time and its inode did
    not tell either that it changed.
    """

    stamp: Stamp
    sha256: str
    began: float
    at: float
    autov3: str | None = None
    blake3: str | None = None
    crc32: str | None = None
    damage: Fault | None = None
    first: str | None = None
    traceless: bool = False

    def after(self, before: Record | None) -> Record:
        """This record with what is known from an earlier one of the same path."""
        if before is None or _written(before.stamp) != _written(self.stamp):
            return self
        first = before.first or before.sha256
        if first != self.sha256:
            traces = sys.platform != "win32"  # there the time of change is that of creation: a write may leave none
            unseen = traces and before.stamp == self.stamp and (before.traceless or before.first is None)
            return replace(self, first=first, traceless=unseen)
        if before.sha256 == self.sha256:  # not every identity is taken each time
            return replace(self, **{name: getattr(self, name) or getattr(before, name) for name in _TAKEN})
        return self

    def settled(self, seconds: float) -> bool:
        """Whether the file was last changed so long before it was read that its stamp tells every later write."""
        return _settled(self.began, self.stamp, seconds)


def _settled(began: float, stamp: Stamp, seconds: float) -> bool:
    """Whether a read that began then saw what the stamp stands for.

    Two writes within one tick of a file's clock have one time, and a store through a shared map gets its time when
    its page is written back, up to half a minute later.
    """
    age = began - stamp.newest
    return age >= seconds or age < -SKEW


def _written(stamp: Stamp) -> tuple[int, int]:
    return stamp.size, stamp.modified_ns


class Records:
    """What is known, kept in a journal that every forgediag process reads and adds to.

    A journal that cannot be written is said so once and then kept in memory only.
    """

    def __init__(self, journal: Path | None, *, settle: float = 60.0) -> None:
        """Read what is there; a journal that is missing or not ours is an empty one.

        Args:
            journal: the file; None keeps everything in memory.
            settle: seconds a file must have been left alone before it was read for its stamp to be trusted later.
        """
        self._journal = None if journal is None else Journal(journal)
        self._settle = settle
        self._lock = threading.RLock()
        self._known: dict[str, Record] = {}
        self._verdicts: dict[tuple[str, str], bytes] = {}
        self._lines = 0
        self.refresh()
        if self._journal is not None and self._lines > 2 * (len(self._known) + len(self._verdicts)) + 1000:
            self._shorten(self._journal)

    def __len__(self) -> int:
        return len(self._known)

    def refresh(self) -> None:
        """Take up what other processes have found out since; costs one look at the journal."""
        with self._lock:
            for row in () if self._journal is None else self._journal.news():
                self._lines += 1
                self._take(row)

    def last(self, path: str) -> Record | None:
        """What the file was when it was last read, whatever has happened since."""
        return self._known.get(path)

    def trusted(self, path: str, stamp: Stamp) -> Record | None:
        """The record of this very version; None where the file must be read to know what it is."""
        record = self._known.get(path)
        return record if record is not None and record.stamp == stamp and record.settled(self._settle) else None

    def add(self, path: str, record: Record) -> Record:
        """Remember a file that was read; the record with what is known of the file from before."""
        with self._lock:
            self.refresh()
            record = record.after(self._known.get(path))
            self._known[path] = record
            self._write(_line(path, record))
            return record

    def verdict(self, path: str, stamp: Stamp, name: str, role: str) -> ModelFile | None:
        """What the header of this very version says by this name and in this role; None where it must be read."""
        row = self._verdicts.get((path, role))
        known = None if row is None else verdicts.read(row)
        if known is None or known.stamp != stamp or known.name != name:
            return None
        return known.file if _settled(known.began, stamp, self._settle) else None

    def judged(self, found: Iterable[tuple[str, Verdict]]) -> None:
        """Remember what headers say, by path. Costs one write for all; a kill before it costs reading them again."""
        rows = {
            (path, verdict.role): verdicts.line(path, verdict)
            for path, verdict in found
            if _settled(verdict.began, verdict.stamp, self._settle)
        }
        with self._lock:
            self._verdicts.update(rows)
            if rows:
                self._write(b"".join(rows.values()))

    def _write(self, lines: bytes) -> None:
        if self._journal is None:
            return
        try:
            self._journal.add(lines)
        except OSError as error:
            why = error.strerror or error
            _log.warning("what was read is not remembered: %s cannot be written: %s", self._journal.path, why)
            self._journal = None

    def _take(self, row: bytes) -> None:
        """One line: ours, an older forgediag's, or what a kill left of one."""
        try:
            values: dict[str, Any] = json.loads(row)
            path = str(values["path"])
            if values["schema"] == VERDICTS:
                self._verdicts[path, str(values["role"])] = row
            elif values["schema"] == SCHEMA:
                self._known[path] = _read(values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return

    def _shorten(self, journal: Journal) -> None:
        def lines() -> bytes:
            self.refresh()
            reads = b"".join(_line(path, record) for path, record in self._known.items())
            return reads + b"".join(self._verdicts.values())

        try:
            journal.shorten(lines)
        except OSError:
            _log.debug("%s is not shortened: it cannot be replaced", journal.path)


def _line(path: str, record: Record) -> bytes:
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "path": path,
        "stamp": record.stamp.row(),
        "sha256": record.sha256,
        "began": record.began,
        "at": record.at,
    }
    row |= {name: value for name in (*_TEXTS, "traceless") if (value := getattr(record, name))}
    if record.damage is not None:
        row["damage"] = verdicts.fault_row(record.damage)
    return json.dumps(row).encode() + b"\n"


def _read(values: Mapping[str, Any]) -> Record:
    """A record out of its line. Raises what a line that is none raises: ValueError, TypeError, KeyError."""
    if len(values["sha256"]) != 64:
        raise ValueError("no hash")
    return Record(
        Stamp.from_row(values["stamp"]),
        str(values["sha256"]),
        float(values["began"]),
        float(values["at"]),
        damage=verdicts.fault_of(values.get("damage")),
        traceless=bool(values.get("traceless")),
        **{name: values.get(name) for name in _TEXTS},
    )
