"""What lies beside a model file and says what it should be: sidecars, hub caches, its own header, Forge's cache."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from forgediag.model import Header
from forgediag.model.claim import Claim, IdentityKind, Trust
from forgediag.sources import forge_hashes, hubs

LIMIT = 4 * 1024 * 1024
"""The longest sidecar read, in bytes: those of model sites, example prompts included, are a few 100 KB."""

_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{8,64})")
_COREUTILS = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.*))?")
_BSD = re.compile(r"SHA256 ?\((.*)\) ?= ?([0-9a-fA-F]{64})")
_SITE: Mapping[str, IdentityKind] = {
    "sha256": "sha256",
    "autov1": "autov1",
    "autov2": "sha256",
    "autov3": "autov3",
    "blake3": "blake3",
    "crc32": "crc32",
}
"""Hashes as CivitAI names them, in lower case: AutoV2 is the beginning of the SHA-256."""


def claims(path: str, header: Header | None, forge_dir: str | None = None) -> tuple[Claim, ...]:
    """Everything this machine knows of what the file should be. What cannot be read says nothing.

    Args:
        path: the file.
        header: its header, whose metadata may hold hashes.
        forge_dir: Forge's install directory, for its cache; looked for above the file where it is not given.
    """
    try:
        size, modified = (found := os.stat(path)).st_size, found.st_mtime  # noqa: PTH116
    except OSError:
        return ()
    return (
        *_checksums(path),
        *_site(path, size),
        *_lora_manager(path, size),
        *_stability_matrix(path),
        *_user_metadata(path),
        *hubs.cache_name(path),
        *hubs.local_folder(path, modified),
        *hubs.lfs(path, size),
        *(() if header is None else _metadata(header)),
        *forge_hashes.claims(path, modified, forge_dir),
    )


def _checksums(path: str) -> Iterator[Claim]:
    """`.sha256` files as coreutils and BSD write them; a line about this name, else the only line."""
    name = os.path.basename(path)  # noqa: PTH119
    for beside in dict.fromkeys((Path(path + ".sha256"), Path(path).with_suffix(".sha256"))):
        found: dict[str, str] = {}
        for line in _text(beside).splitlines():
            if match := _COREUTILS.fullmatch(line.strip()):
                found[os.path.basename(match[2] or name)] = match[1]  # noqa: PTH119
            elif match := _BSD.fullmatch(line.strip()):
                found[os.path.basename(match[1])] = match[2]  # noqa: PTH119
        value = found.get(name) or (next(iter(found.values())) if len(found) == 1 else None)
        if value is not None:
            yield Claim(beside.name, "sha256", value.lower(), "published")


def _site(path: str, size: int) -> Iterator[Claim]:
    beside = Path(path).with_suffix(".civitai.info")
    yield from _versions(f"CivitAI, in {beside.name}", _json(beside).get("files"), size)


def _lora_manager(path: str, size: int) -> Iterator[Claim]:
    beside = Path(path).with_suffix(".metadata.json")
    document = _json(beside)
    stated = _number(document.get("size"))
    stale = "it was written about a file of another size" if stated not in {None, size} else None
    yield from _claim(beside.name, "sha256", document.get("sha256"), "believed", size=stated, stale=stale)
    yield from _versions(f"CivitAI, in {beside.name}", _object(document.get("civitai")).get("files"), size)


def _stability_matrix(path: str) -> Iterator[Claim]:
    beside = Path(path).with_suffix(".cm-info.json")
    yield from _hashes(f"CivitAI, in {beside.name}", _json(beside).get("Hashes"))


def _user_metadata(path: str) -> Iterator[Claim]:
    beside = Path(path).with_suffix(".json")
    yield from _claim(beside.name, "sha256", _json(beside).get("sha256"), "believed")


def _versions(source: str, files: object, size: int) -> Iterator[Claim]:
    """The hashes of a model version's files: those of this size, else those of its primary or only file."""
    rows = [cast("dict[str, Any]", row) for row in _list(files) if isinstance(row, dict)]
    sized = [(row, _bytes(row.get("sizeKB"))) for row in rows]
    chosen = [(row, stated) for row, stated in sized if _alike(stated, size)]
    if not chosen:
        chosen = [(row, stated) for row, stated in sized if row.get("primary") is True or len(rows) == 1]
    for row, stated in chosen:
        exact = size if _alike(stated, size) else stated
        about = row.get("name")
        yield from _hashes(source, row.get("hashes"), exact, about if isinstance(about, str) else None)


def _hashes(source: str, hashes: object, size: int | None = None, about: str | None = None) -> Iterator[Claim]:
    for name, value in _object(hashes).items():
        kind = _SITE.get(name.lower())
        if kind is not None:
            yield from _claim(source, kind, value, "published", size=size, about=about)


def _metadata(header: Header) -> Iterator[Claim]:
    said = header.metadata
    yield from _claim("its own header (sshs_model_hash)", "autov3", said.get("sshs_model_hash"), "recorded")
    yield from _claim("its own header (sshs_legacy_hash)", "autov1", said.get("sshs_legacy_hash"), "hint")
    yield from _claim("its own header (modelspec.hash_sha256)", "autov3", said.get("modelspec.hash_sha256"), "hint")


def _claim(
    source: str,
    kind: IdentityKind,
    value: object,
    trust: Trust,
    *,
    size: int | None = None,
    about: str | None = None,
    stale: str | None = None,
) -> Iterator[Claim]:
    if isinstance(value, str) and (match := _HEX.fullmatch(value.strip())):
        yield Claim(source, kind, match[1].lower(), trust, size, about, stale)


def _bytes(kilobytes: object) -> int | None:
    number = _number(kilobytes)
    return None if number is None else round(float(cast("float", kilobytes)) * 1024)


def _alike(stated: int | None, size: int) -> bool:
    return stated is not None and abs(stated - size) <= 1  # sites give KB with a few digits


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return _object(found)


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(path: Path) -> str:
    raw = hubs.small(path, LIMIT)
    return "" if raw is None else raw.decode("utf-8-sig", "replace")
