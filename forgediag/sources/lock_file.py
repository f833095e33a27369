"""The lock file on disk, and how it names a path."""

from __future__ import annotations

import os
from pathlib import Path

from forgediag.lockfile import Lock, LockError, parse

LARGEST = 64 * 1024 * 1024
"""Bytes of the longest lock file that is read: 300,000 files."""


def read_lock(path: Path) -> Lock:
    """The lock file at a path.

    Raises:
        OSError: it cannot be read.
        LockError: it is none.
    """
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise LockError(f"is longer than {LARGEST:,} bytes")
    try:
        return parse(raw.decode())
    except UnicodeDecodeError as error:
        raise LockError("is not UTF-8") from error


def lock_name(path: str, base: Path) -> str:
    """A path as the lock file writes it: from its folder when below it, with `/`."""
    if path == str(base):
        return "."
    inside = path.removeprefix(str(base) + os.sep)
    return (inside if inside != path else path).replace(os.sep, "/")
