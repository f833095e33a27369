"""SHA-256 of model files in the background: one file at a time, behind everything else, remembered on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forgediag.model import Gap, Known
from forgediag.sources.files import Version

BLOCK = 1024 * 1024
"""Bytes read at a time; hashlib lets other threads run meanwhile."""

SCHEMA = "forgediag.hashes/1"
_REMEMBERED = 10_000
_HASHING = Gap("the selected model files are being hashed", "starting")
_log = logging.getLogger(__name__)


class Hasher:
    """Hashes the files it is asked for and remembers each version's hash. `sha256` never waits.

    Its thread starts with the first file to hash, runs at the lowest CPU and I/O priority the system gives a thread,
    and stands still while `busy()` is true.
    """

    def __init__(self, cache: Path | None, *, busy: Callable[[], bool] = lambda: False, pause: float = 0.5) -> None:
        """Read what was remembered; nothing else happens yet.

        Args:
            cache: a JSON file to remember hashes in; None remembers them in memory only.
            busy: whether to stand still, asked before each block (a job runs).
            pause: seconds between two questions while busy.
        """
        self._cache = cache
        self._busy = busy
        self._pause = pause
        self._known: dict[str, tuple[Version, Known[str]]] = _load(cache)
        self._wanted: dict[str, Version] = {}
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def sha256(self, path: str, version: Version) -> Known[str]:
        """The hash of this version of a file; a gap while it is hashed, or when it could not be."""
        with self._lock:
            known = self._known.get(path)
            if known is not None and known[0] == version:
                return known[1]
            if self._stop.is_set():
                return _HASHING
            self._wanted[path] = version
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forgediag-hashing", daemon=True)
                self._thread.start()
            self._lock.notify()
        return _HASHING

    def close(self) -> None:
        """Stop at the next block and wait for that."""
        self._stop.set()
        with self._lock:
            self._lock.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        _step_back()
        while (item := self._next()) is not None:
            path, version = item
            result = self._hash(path, version)
            if result is None:
                return
            with self._lock:
                self._known[path] = version, result
                if self._wanted.get(path) == version:
                    del self._wanted[path]
            if not isinstance(result, Gap):
                self._save()

    def _next(self) -> tuple[str, Version] | None:
        with self._lock:
            while not self._wanted and not self._stop.is_set():
                self._lock.wait()
            return None if self._stop.is_set() else next(iter(self._wanted.items()))

    def _hash(self, path: str, version: Version) -> Known[str] | None:
        """The hash, or why not; None when told to stop."""
        digest = hashlib.sha256()
        buffer = bytearray(BLOCK)
        view = memoryview(buffer)
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered
                changed = _version(file.fileno()) != version
                while not changed and (size := file.readinto(buffer)):
                    digest.update(view[:size])
                    while self._busy() and not self._stop.wait(self._pause):
                        pass
                    if self._stop.is_set():
                        return None
                changed = changed or _version(file.fileno()) != version
        except OSError as error:
            return Gap(f"{os.path.basename(path)} cannot be hashed: {error.strerror or error}")  # noqa: PTH119
        if changed:
            return Gap(f"{os.path.basename(path)} changed while it was hashed")  # noqa: PTH119
        return digest.hexdigest()

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
            _write(self._cache, json.dumps({"schema": SCHEMA, "files": rows}))
        except OSError as error:
            _log.warning("hashes are not remembered: %s cannot be written: %s", self._cache, error.strerror or error)
            self._cache = None


def _version(handle: int) -> Version:
    found = os.fstat(handle)
    return Version(found.st_size, found.st_mtime_ns, found.st_ino)


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


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: after a crash it is the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _step_back() -> None:
    """Give this thread the lowest CPU and disk priority, where the system knows such a thing for one thread."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - only here

        kernel = ctypes.windll.kernel32
        kernel.SetThreadPriority(kernel.GetCurrentThread(), 0x00010000)  # THREAD_MODE_BACKGROUND_BEGIN
    elif sys.platform == "linux":
        import psutil  # noqa: PLC0415

        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, 19)
            psutil.Process(thread).ionice(psutil.IOPRIO_CLASS_IDLE)
        except (OSError, psutil.Error):
            _log.debug("the hashing thread keeps its priority: the system refuses a lower one")
