"""The model files of folders with what their headers say."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from forgediag.forge.folders import Folder, model_name
from forgediag.model import Fault, Gap, ModelFile
from forgediag.sources.headers import Headers
from forgediag.sources.inventory import Entry, Inventory, walk
from forgediag.sources.library import PATIENCE
from forgediag.sources.patience import Hung, patiently
from forgediag.sources.pieces import incomplete_folders
from forgediag.sources.records import Records
from forgediag.sources.stamp import reason

NOT_READ_WHOLE = Gap("this version of the file was not read whole yet: run forgediag lock", "missing", expected=True)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Files by their headers; by path: `links` are other names of a file, `copies` files with the same contents.

    `outside` tells where links lead that leave all folders, `sha256` what is known from an earlier read, `skipped` why
    a path was left out or a file cannot be read.
    """

    files: tuple[ModelFile, ...]
    links: Mapping[str, tuple[str, ...]]
    copies: Mapping[str, tuple[str, ...]]
    outside: Mapping[str, str]
    sha256: Mapping[str, str]
    skipped: Mapping[str, str]


def examine_all(folders: Iterable[Folder], records: Records) -> Shelf:
    """Every model file below these folders. A file or folder whose disk does not answer is skipped, and named."""
    try:
        inventory = patiently(lambda beat: walk(folders, beat), PATIENCE)
    except Hung as error:
        inventory = Inventory((), {folder.path: str(error) for folder in folders})
    skipped = dict(inventory.skipped)
    known = {
        entry.path: record.sha256
        for entry in inventory.entries
        if (record := records.trusted(entry.path, entry.stamp)) is not None
    }
    files: list[ModelFile] = []
    headers = Headers(records)
    with _no_collection():
        for entry in inventory.entries:
            try:
                files.append(_file(headers, entry, known.get(entry.path)))
            except OSError as error:
                skipped[entry.path] = reason(error)
    headers.flush()
    files += [_index(path, fault) for path, fault in incomplete_folders(inventory.indexes).items()]
    links = inventory.hard_links()
    return Shelf(
        files=tuple(files),
        links=links,
        copies=_copies(known, links),
        outside={entry.path: entry.leads_to for entry in inventory.entries if entry.leads_to is not None},
        sha256=known,
        skipped=skipped,
    )


@contextmanager
def _no_collection() -> Generator[None, None, None]:
    """Headers are trees without cycles: looking for some among them was measured to take an eighth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _file(headers: Headers, entry: Entry, sha256: str | None) -> ModelFile:
    """A leftover is judged by the name it had, so that a whole one is known as whole."""
    folder, name = os.path.split(entry.path)
    file = headers.of(os.path.join(folder, model_name(name) or name), entry.path, entry.role, entry.stamp)  # noqa: PTH118
    return replace(file, path=entry.path, unlisted=entry.unlisted, sha256=sha256 or NOT_READ_WHOLE)


def _index(path: str, fault: Fault) -> ModelFile:
    """A folder that lacks files, as the file that says so."""
    return ModelFile(path, path, "other", False, 0, "unknown", "unknown", fault, None, {}, NOT_READ_WHOLE)  # noqa: FBT003


def _copies(known: Mapping[str, str], links: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    by_hash: dict[str, list[str]] = {}
    for path, sha256 in known.items():
        by_hash.setdefault(sha256, []).append(path)
    found: dict[str, tuple[str, ...]] = {}
    for paths in by_hash.values():
        for path in paths:
            others = tuple(other for other in paths if other != path and other not in links.get(path, ()))
            if others:
                found[path] = others
    return found
