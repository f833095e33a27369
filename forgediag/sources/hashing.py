"""SHA-256 of model files in the background: one file at a time, behind everything else, remembered on disk."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from forgediag.model import Gap, Known
from forgediag.sources.files import Version
from forgediag.sources.identity import Changed, Gate, Stopped, identify
from forgediag.sources.records import replace_text
from forgediag.sources.thread import step_back

SCHEMA = "forgediag.hashes/1"
_REMEMBERED = 10_000
_SKEW = 60.0
_HASHING = Gap("the selected model files are being hashed", "starting")
_log = logging.getLogger(__name__)


class Chore(Protocol):
    """Reading that can wait: done when no file is asked for."""

    def due(self) -> float:
        """Seconds until there is something to read; infinite for nothing."""
        ...

    def work(self, gate: Gate) -> None:
        """Read one file. Raises `Stopped` when the gate says so."""
        ...


class Hasher:
    """Hashes the files it is asked for and remembers each version's hash. `sha256` never waits.

    Its thread starts with the first file to hash, runs at the lowest CPU and I/O priority the system gives a thread,
    and stands still while `busy()` is true. A file is left alone until it has been so by others for `settle` seconds:
    two writes within one tick of a file's clock have one time, so a younger version could be remembered wrongly.
    A file that could not be hashed is tried again after `retry` seconds.
    """

    def __init__(
        self,
        cache: Path | None,
        *,
        busy: Callable[[], bool] = lambda: False,
        pause: float = 0.5,
        settle: float = 5.0,
        retry: float = 600.0,
    ) -> None:
        """Read what was remembered; nothing else happens yet.

        Args:
            cache: a JSON file to remember hashes in; None remembers them in memory only.
            busy: whether to stand still, asked before each block (a job runs).
            pause: seconds between two questions while busy.
            settle: how old a file's last change must be, in seconds by its own clock.
            retry: seconds until a file that could not be hashed is tried again.
        """
        self._cache = cache
        self._settle = settle
        self._retry = retry
        self._again: dict[str, float] = {}
        self._busy = busy
        self._pause = pause
        self._known: dict[str, tuple[Version, Known[str]]] = _load(cache)
        self._wanted: dict[str, Version] = {}
        self._chores: list[Chore] = []
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def sha256(self, path: str, version: Version) -> Known[str]:
        """The hash of this version of a file; a gap while it is hashed, or when it could not be."""
        with self._lock:
            known = self._known.get(path)
            result = known[1] if known is not None and known[0] == version else None
            failed = isinstance(result, Gap) and time.monotonic() >= self._again.get(path, 0)
            if (result is not None and not failed) or self._stop.is_set():
                return result or _HASHING
            self._wanted[path] = version
            self._wake()
        return result or _HASHING

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
            result = self._hash(path, version)
            if result is None:
                return
            with self._lock:
                self._known[path] = version, result
                if isinstance(result, Gap):
                    self._again[path] = time.monotonic() + self._retry
                if self._wanted.get(path) == version:
                    del self._wanted[path]
            if not isinstance(result, Gap):
                self._save()

    def _next(self) -> tuple[str, Version] | Chore | None:
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

    def _hash(self, path: str, version: Version) -> Known[str] | None:
        """The hash, or why not; None when told to stop."""
        name = os.path.basename(path)  # noqa: PTH119
        changed = Gap(f"{name} changed while it was hashed")
        try:
            if _version(path) != version:
                return changed
            sha256 = identify(path, gate=self._gate, cores=1).sha256
            return sha256 if _version(path) == version else changed
        except Stopped:
            return None
        except Changed:
            return changed
        except OSError as error:
            return Gap(f"{name} cannot be hashed: {error.strerror or error}")

    def _gate(self, done: int) -> bool:  # noqa: ARG002 - a Gate
        while self._busy() and not self._stop.wait(self._pause):
            pass
        return not self._stop.is_set()

    def _save(self) -> None:
        if self._cache is None:
            return
        with self._lock:
            rows = {
                path: [version.size, version.modified_ns, version.inode, sha256]
                for path, (version, sha256) in list(self._known.items())[-_REMEMBERED:]
                if not isinstance(sha256, Gap)
            }
        try:
            replace_text(self._cache, json.dumps({"schema": SCHEMA, "files": rows}))
        except OSError as error:
            _log.warning("hashes are not remembered: %s cannot be written: %s", self._cache, error.strerror or error)
            self._cache = None


def _due(chore: Chore) -> float:
    return chore.due()


def _version(path: str) -> Version:
    found = os.stat(path)  # noqa: PTH116 - paths are strings here
    return Version(found.st_size, found.st_mtime_ns, found.st_ino)


def _settles(path: str, settle: float) -> float:
    """Seconds until a file's last change is `settle` seconds old: none for one that cannot be looked at.

    A time further in the future than clocks of file servers are apart is a copied one, and says nothing.
    """
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return 0.0
    ages = (time.time() - found.st_mtime, time.time() - found.st_ctime)
    return max([0.0, *(settle - age for age in ages if age > -_SKEW)])


def _load(cache: Path | None) -> dict[str, tuple[Version, Known[str]]]:
    """What was remembered. A cache that is missing or not ours is an empty one."""
    try:
        document: dict[str, Any] = {} if cache is None else json.loads(cache.read_bytes())
        rows: dict[str, Any] = document["files"] if document.get("schema") == SCHEMA else {}
        return {
            path: (Version(int(size), int(modified), int(inode)), str(sha256))
            for path, (size, modified, inode, sha256) in rows.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
