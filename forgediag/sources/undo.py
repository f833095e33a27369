"""What must be put back in a Forge, kept on the disk while something else is selected there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from forgediag.model import Unfinished

SCHEMA = "forgediag.journal/1"


class JournalError(Exception):
    """Another forgediag is at work on this Forge, or the journal cannot be kept; one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change under way.

    Attributes:
        url: the Forge it is made in.
        values: options as they were, to be put back.
        detour: an option to set to something else for a moment on the way back, so that Forge takes the others.
        pid: the process that makes the change, and `started` when that process began (Unix seconds).
    """

    url: str
    values: Mapping[str, Any]
    detour: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=lambda: psutil.Process().create_time())

    @property
    def abandoned(self) -> bool:
        """Whether the process that began it is gone."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 2
        except psutil.Error:
            return True


class Journal:
    """The entry for one Forge, at most one at a time: `folder/undo-….json`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url
        self.path = folder / f"undo-{hashlib.sha256(url.encode()).hexdigest()[:12]}.json"

    def read(self) -> Entry | None:
        """What is to be put back, None when nothing is.

        Raises:
            JournalError: the file is there and cannot be read.
        """
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            return Entry(kept["url"], kept["values"], kept["detour"], kept["pid"], kept["started"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{self.path} says what to put back in Forge and cannot be read: {error}") from error

    def abandoned(self) -> Unfinished | None:
        """What a process that is gone has left, None while none has."""
        try:
            entry = self.read()
        except JournalError as error:
            return Unfinished(str(self.path), unreadable=str(error))
        return Unfinished(str(self.path), entry.values) if entry is not None and entry.abandoned else None

    def begin(self, values: Mapping[str, Any], detour: Mapping[str, Any] | None = None) -> None:
        """Keep what is to be put back; on the disk when this returns.

        Raises:
            JournalError: it cannot be written, or there is an entry already.
        """
        entry = {"schema": SCHEMA, **asdict(Entry(self._url, values, detour or {}))}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{self.path.parent} cannot be written: {error.strerror}; nothing was sent") from error
        try:
            with self.path.open("x", encoding="utf-8") as file:
                json.dump(entry, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise JournalError(f"another forgediag is at work on {self._url} ({self.path})") from error
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be written ({error.strerror}); nothing was sent to Forge"
            ) from error

    def end(self) -> None:
        """Everything is back."""
        self.path.unlink(missing_ok=True)
