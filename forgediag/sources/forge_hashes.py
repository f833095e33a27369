"""What Forge believes its files' hashes are: its own cache, read from a copy and never unpickled."""

from __future__ import annotations

import os
import pickletools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath

from forgediag.model.claim import Claim

LIMIT = 64 * 1024 * 1024
"""The largest cache read, in bytes; a thousand hashes take some 300 KB."""

_SECTIONS = ("hashes", "hashes-addnet")
_LEVELS = 8
_SHARED = "vae"
"""Every VAE has this one key (Forge dfdcbab, modules/sd_vae.py): the last that was hashed speaks for all."""


def claims(path: str, modified: float, forge_dir: str | None) -> Iterator[Claim]:
    """What Forge's cache says of a file.

    Forge takes an entry for true unless the file's time is later than the entry's (modules/hashes.py), so a file
    replaced by one of the same age keeps the old hash: what it says is belief, never proof.
    """
    folder = _folder(path, forge_dir)
    if folder is None:
        return
    for section in _SECTIONS:
        for key, (stated, sha256) in _read(folder / section).items():
            if key == _SHARED or not _names(key, path):
                continue
            stale = "Forge itself would hash it again: the file is newer" if modified > stated else None
            source = f"Forge believes ({section}, {key})"
            yield Claim(source, "sha256", sha256, "believed", stale=stale)
            if section == "hashes-addnet":  # Forge keeps the whole file's hash here, A1111 that of the tensors
                yield Claim(source, "autov3", sha256, "believed", stale=stale)


def _folder(path: str, forge_dir: str | None) -> Path | None:
    """Forge's cache folder: where its variable says, in its directory, or in a folder above the file."""
    if elsewhere := os.environ.get("SD_WEBUI_CACHE_DIR"):
        return Path(elsewhere)
    if forge_dir is not None:
        return Path(forge_dir) / "cache"
    above = islice(Path(os.path.abspath(path)).parents, _LEVELS)  # noqa: PTH100
    return next((folder / "cache" for folder in above if (folder / "cache/hashes/cache.db").is_file()), None)


def _names(key: str, path: str) -> bool:
    """Whether a key like `checkpoint/sub/model.safetensors` or `lora/name` speaks of this file."""
    name = key.partition("/")[2].replace("\\", "/")
    file = PurePosixPath(path.replace("\\", "/"))
    wanted = PurePosixPath(name).parts
    return bool(wanted) and any(
        parts[-len(wanted) :] == wanted for parts in (file.parts, (*file.parts[:-1], file.stem))
    )


def _read(folder: Path) -> dict[str, tuple[float, str]]:
    """The entries (time, SHA-256) by key. A copy is opened, so that a running Forge's locks are left alone."""
    found: dict[str, tuple[float, str]] = {}
    database = folder / "cache.db"
    try:
        if database.stat().st_size > LIMIT:
            return {}
        with tempfile.TemporaryDirectory(prefix="forgediag-") as place:
            for name in ("cache.db", "cache.db-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(folder / name, Path(place) / name)
            with closing(sqlite3.connect(Path(place) / "cache.db")) as connection:
                rows = connection.execute("SELECT key, value FROM Cache WHERE raw = 1 AND mode = 4")
                for key, value in rows:
                    if isinstance(key, str) and isinstance(value, bytes) and (entry := _entry(value)) is not None:
                        found[key] = entry
    except (OSError, sqlite3.Error):
        return {}
    return found


def _entry(pickled: bytes) -> tuple[float, str] | None:
    """`{"mtime": number, "sha256": text}` from the constants of its pickle, which is never run."""
    constants: list[object] = []
    try:
        for opcode, argument, _ in islice(pickletools.genops(pickled), 64):
            if opcode.name.endswith(("UNICODE", "FLOAT", "BININT", "BININT1", "BININT2")):
                constants.append(argument)
    except ValueError:
        return None
    pairs = dict(pairwise(constants))
    modified, sha256 = pairs.get("mtime"), pairs.get("sha256")
    if isinstance(modified, float | int) and isinstance(sha256, str) and len(sha256) == 64:
        return float(modified), sha256.lower()
    return None
