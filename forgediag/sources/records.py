"""What was read of files before: one line a file, written as soon as it is known, so that a kill loses nothing."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forgediag.sources.stamp import Stamp

JOURNAL = "files.jsonl"
"""The journal's name in the state directory."""

SCHEMA = "forgediag.records/1"
SKEW = 60.0
"""Seconds the clocks of file servers are apart at most; a file's time further in the future is a copied one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One file as it was read whole: its stamp before and after, and what it was. `began` and `at` are Unix seconds.

    `first` is its SHA-256 when it was first read with this size and time of writing, where that was another one;
    `traceless` says that its other time and its inode did not tell either that it changed.
    """

    stamp: Stamp
    sha256: str
    began: float
    at: float
    autov3: str | None = None
    blake3: str | None = None
    first: str | None = None
    traceless: bool = False

    def after(self, before: Record | None) -> Record:
        """This record with what is known from an earlier one of the same path."""
        if before is None or _written(before.stamp) != _written(self.stamp):
            return self
        first = before.first or before.sha256
        if first == self.sha256:
            return self
        traces = sys.platform != "win32"  # there the time of change is that of creation: a write may leave none
        unseen = traces and before.stamp == self.stamp and (before.traceless or before.first is None)
        return replace(self, first=first, traceless=unseen)

    def settled(self, seconds: float) -> bool:
        """Whether the file was last changed so long before it was read that its stamp tells every later write.

        Two writes within one tick of a file's clock have one time, and a store through a shared map gets its time
        when its page is written back, up to half a minute later.
        """
        age = self.began - self.stamp.newest
        return age >= seconds or age < -SKEW


def _written(stamp: Stamp) -> tuple[int, int]:
    return stamp.size, stamp.modified_ns


class Records:
    """Records by path, kept in a journal: a line is added with one write, and a line cut by a kill is skipped.

    Several processes may add at once. A journal that cannot be written is said so once and then kept in memory only.
    """

    def __init__(self, journal: Path | None, *, settle: float = 60.0) -> None:
        """Read what is there; a journal that is missing or not ours is an empty one.

        Args:
            journal: the file; None keeps everything in memory.
            settle: seconds a file must have been left alone before it was read for its stamp to be trusted later.
        """
        self._journal = journal
        self._settle = settle
        self._lock = threading.Lock()
        self._known: dict[str, Record] = {}
        lines = 0
        for row in _lines(journal):
            lines += 1
            if (read := _read(row)) is not None:
                self._known[read[0]] = read[1]
        if journal is not None and lines > 2 * len(self._known) + 1000:
            self._rewrite(journal)

    def __len__(self) -> int:
        return len(self._known)

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
            record = record.after(self._known.get(path))
            self._known[path] = record
            if self._journal is None:
                return record
            try:
                _append(self._journal, _line(path, record))
            except OSError as error:
                _log.warning(
                    "what was read is not remembered: %s cannot be written: %s",
                    self._journal,
                    error.strerror or error,
                )
                self._journal = None
            return record

    def _rewrite(self, journal: Path) -> None:
        text = "".join(_line(path, record) for path, record in self._known.items())
        try:
            replace_text(journal, text)
        except OSError:
            _log.debug("%s is not shortened: it cannot be replaced", journal)


def replace_text(path: Path, text: str) -> None:
    """Replace a file in one step: after a crash or on a full disk it is the old one or the new one, whole.

    Raises:
        OSError: it cannot be written; the old one is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o777)  # noqa: PTH101 - mkstemp's is for the owner alone
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _append(journal: Path, line: str) -> None:
    """Add a line with one write; what a full disk cut off of an earlier one ends before it."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(journal, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        size = os.fstat(handle).st_size
        if size:
            os.lseek(handle, size - 1, os.SEEK_SET)
            line = line if os.read(handle, 1) == b"\n" else "\n" + line
        data = line.encode()
        if os.write(handle, data) < len(data):
            raise OSError("the disk is full")
    finally:
        os.close(handle)


def _line(path: str, record: Record) -> str:
    stamp = record.stamp
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "path": path,
        "stamp": [stamp.size, stamp.modified_ns, stamp.changed_ns, stamp.inode],
        "sha256": record.sha256,
        "began": record.began,
        "at": record.at,
    }
    row |= {name: value for name in ("autov3", "blake3", "first", "traceless") if (value := getattr(record, name))}
    return json.dumps(row) + "\n"


def _lines(journal: Path | None) -> Iterator[bytes]:
    if journal is None:
        return
    try:
        with journal.open("rb") as file:
            yield from file
    except OSError:
        return


def _read(row: bytes) -> tuple[str, Record] | None:
    try:
        values: dict[str, Any] = json.loads(row)
        if values["schema"] != SCHEMA or len(values["sha256"]) != 64:
            return None
        size, modified, changed, inode = map(int, values["stamp"])
        stamp = Stamp(size, modified, changed, inode)
        record = Record(
            stamp,
            str(values["sha256"]),
            float(values["began"]),
            float(values["at"]),
            values.get("autov3"),
            values.get("blake3"),
            values.get("first"),
            bool(values.get("traceless")),
        )
        return str(values["path"]), record
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
