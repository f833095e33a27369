"""What Hugging Face's downloads and git-lfs leave on disk about a file: their names and notes hold its hash."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from forgediag.model.claim import Claim

_NOTE = 4096
_LEVELS = 8
"""Folders above a file that are looked through for a download's notes."""

_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)


def cache_name(path: str) -> Iterator[Claim]:
    """A file of huggingface_hub's cache is a link to `models--ORG--NAME/blobs/ETAG`, the SHA-256 of an LFS file.

    The library compares only the size after a download, so the name is a claim and no proof.
    """
    real = Path(os.path.realpath(path))
    if real.parent.name == "blobs" and _BLOB.fullmatch(real.name):
        yield _etag(f"Hugging Face's cache ({real.parent.parent.name})", real.name)


def local_folder(path: str, modified: float) -> Iterator[Claim]:
    """Notes of `huggingface_hub` in a local folder: three lines, commit, etag and the time of the download.

    They hold while the file was not modified later than a second after that time (the library's own rule).
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100 - links are followed by resolve()
    for folder in islice(file.parents, _LEVELS):
        note = folder / ".cache/huggingface/download" / f"{file.relative_to(folder)}.metadata"
        lines = (small(note, _NOTE) or b"").decode("ascii", "replace").split("\n")
        if len(lines) < 3 or not _BLOB.fullmatch(lines[1].strip()):
            continue
        try:
            stale = modified - 1 > float(lines[2])
        except ValueError:
            stale = True
        why = "the file was changed after this download" if stale else None
        yield _etag("Hugging Face's note of its download", lines[1].strip(), why)


def lfs(path: str, size: int) -> Iterator[Claim]:
    """A pointer says what belongs in its place; an object's name is its hash."""
    real = Path(os.path.realpath(path))
    if ".git/lfs/objects/" in real.as_posix() and re.fullmatch(r"[0-9a-f]{64}", real.name):
        yield Claim("git-lfs's name for it", "sha256", real.name, "published")
    if size <= _NOTE and (match := _POINTER.fullmatch(small(real, _NOTE) or b"")):
        yield Claim(
            "the git-lfs pointer that lies in its place", "sha256", match[1].decode(), "published", int(match[2])
        )


def small(path: Path, limit: int) -> bytes | None:
    """A small regular file's bytes; None for one that is missing, unreadable, longer than `limit` or no file."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                return None
            return file.read(limit)
    except (OSError, ValueError):
        return None


def _etag(source: str, etag: str, stale: str | None = None) -> Claim:
    return Claim(source, "sha256" if len(etag) == 64 else "git-blob", etag, "published", stale=stale)
