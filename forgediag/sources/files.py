"""The model files behind Forge's listing: their headers, read once for each version of a file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from forgediag.forge import selection
from forgediag.forge.folders import model_name
from forgediag.model import Fault, Files, Gap, Known, Listing, ModelFile, Options, Prediction, Role
from forgediag.sources.forecast import Forecast
from forgediag.sources.headers import Headers
from forgediag.sources.inventory import Entry
from forgediag.sources.paths import local_path
from forgediag.sources.records import Records
from forgediag.sources.stamp import Stamp, reason
from forgediag.sources.verdicts import NOT_SELECTED

NOT_HASHED = Gap("model files are not hashed: hash_models is off", "unsupported", expected=True)


class Hashes(Protocol):
    """Where a file's SHA-256 comes from."""

    def sha256(self, path: str, version: Stamp) -> Known[str]:
        """The hash of this version of the file, or why it is not known yet."""
        ...

    def damage(self, path: str, version: Stamp) -> Fault | None:
        """What is wrong with this version of the file beyond its header, as far as that is known."""
        ...


class FileReader:
    """Reads the model files of one target.

    `read()` costs one `stat` for each file that has not changed since the last call. New and changed files are
    read, the selected ones first, until `budget` seconds are spent; the rest wait for the next call.
    """

    def __init__(
        self,
        prefixes: Mapping[str, str],
        hashes: Hashes | None,
        records: Records | None = None,
        *,
        budget: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefixes = dict(prefixes)
        self._hashes = hashes
        self._headers = Headers(Records(None) if records is None else records)
        self._budget = budget
        self._clock = clock
        self._seen: dict[str, tuple[Stamp, ModelFile]] = {}
        self._forecast = Forecast()

    def read(
        self, listing: Known[Listing], options: Known[Options], *, elsewhere: bool, others: Sequence[Entry] = ()
    ) -> Known[Files]:
        """The files as they are now; a gap where the listing is one, or none of its folders is on this machine.

        Args:
            listing: the files Forge lists.
            options: tells which of them are selected; a gap selects none.
            elsewhere: whether Forge runs on another machine or in a container, where missing folders are expected.
            others: files of its folders, read after those it lists.
        """
        if isinstance(listing, Gap):
            return listing
        self._headers.records.refresh()
        files: dict[str, ModelFile] = {}
        unreadable: dict[str, str] = {}
        pending = 0
        deadline = self._clock() + self._budget
        for want in _wanted(listing, options, others, self._prefixes):
            known = self._known(want.local, unreadable, want.path)
            if known is not None and (known[1] is not None or want.selected or self._clock() < deadline):
                file = self._file(want, known, unreadable)
                if file is not None:
                    files[want.path] = self._current(file, known[0], want.selected)
            elif known is not None:
                pending += 1
        self._headers.flush()
        if unreadable and not files and not pending and not _here(unreadable, self._prefixes):
            return _not_here(next(iter(unreadable)), elsewhere=elsewhere)
        self._seen = {path: self._seen[path] for path in files}
        return Files(tuple(files.values()), unreadable, pending, self._prediction(listing, options))

    def _prediction(self, listing: Listing, options: Known[Options]) -> Known[Prediction] | None:
        """What comes of loading what is selected, where all of it was read."""
        if isinstance(options, Gap):
            return None
        paths = selection.selected_paths(listing, options)
        seen = [self._seen[path] for path in paths if path in self._seen]
        if not seen or len(seen) < len(paths) or seen[0][1].role != "checkpoint":
            return None
        return self._forecast.of([file for _, file in seen], [version for version, _ in seen])

    def _known(self, local: str, unreadable: dict[str, str], path: str) -> tuple[Stamp, ModelFile | None] | None:
        """The file's version now and what was read of that version, or None for no file that can be read."""
        try:
            found = os.stat(local)  # noqa: PTH116 - 2000 of them a minute
        except (OSError, ValueError) as error:
            unreadable[path] = reason(error)
            return None
        if not stat.S_ISREG(found.st_mode):
            unreadable[path] = "is not a regular file"
            return None
        version = Stamp.of(found)
        seen = self._seen.get(path)
        alone = seen is not None and (seen[1].fault is None or not seen[1].fault.id.startswith("gguf-split"))
        return version, seen[1] if seen is not None and alone and seen[0] == version else None

    def _file(
        self, want: _Wanted, known: tuple[Stamp, ModelFile | None], unreadable: dict[str, str]
    ) -> ModelFile | None:
        version, file = known
        if file is None:
            try:
                file = self._headers.of(want.name, want.local, want.role, version)
            except OSError as error:
                unreadable[want.path] = reason(error)
                return None
            file = replace(file, path=want.path, unlisted=want.unlisted)
            self._seen[want.path] = version, file
        return file

    def _current(self, file: ModelFile, version: Stamp, selected: bool) -> ModelFile:  # noqa: FBT001
        sha256: Known[str] = NOT_SELECTED
        if selected:
            sha256 = NOT_HASHED if self._hashes is None else self._hashes.sha256(file.local, version)
        fault = file.fault or self._damage(file, version, selected)
        if (file.selected, file.sha256, file.fault) == (selected, sha256, fault):
            return file
        file = replace(file, selected=selected, sha256=sha256, fault=fault)
        self._seen[file.path] = version, file
        return file

    def _damage(self, file: ModelFile, version: Stamp, selected: bool) -> Fault | None:  # noqa: FBT001
        if selected and self._hashes is not None:
            return self._hashes.damage(file.local, version)
        return self._headers.damaged(file, version).fault


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to look at: its path as Forge knows it and here, and the name it is judged by."""

    path: str
    local: str
    role: Role
    name: str
    selected: bool = False
    unlisted: str | None = None


def _wanted(
    listing: Listing, options: Known[Options], others: Sequence[Entry], prefixes: Mapping[str, str]
) -> Iterator[_Wanted]:
    """Every listed path with its role, the selected ones first; then what else there is."""
    chosen: set[str] = set()
    if not isinstance(options, Gap):
        chosen = set(selection.selected_paths(listing, options))
    rows: list[tuple[str, Role]] = []
    for checkpoint in listing.checkpoints:
        rows.append((checkpoint.path, "checkpoint"))
    for module in listing.modules:
        rows.append((module.path, "module"))
    listed: set[str] = set()
    for path, role in sorted(rows, key=lambda row: row[0] not in chosen):
        local = local_path(path, prefixes)
        listed.add(local)
        yield _Wanted(path, local, role, local, selected=path in chosen)
    for entry in others:
        if entry.path not in listed:
            folder, name = os.path.split(entry.path)
            judged = os.path.join(folder, model_name(name) or name)  # noqa: PTH118
            yield _Wanted(entry.path, entry.path, entry.role, judged, unlisted=entry.unlisted)


def _here(unreadable: Mapping[str, str], prefixes: Mapping[str, str]) -> bool:
    """Whether any folder of these files is on this machine, so that the files themselves are what is missing."""
    folders = {os.path.dirname(local_path(path, prefixes)) for path in unreadable}  # noqa: PTH120
    return any(os.path.isdir(folder) for folder in folders if folder)  # noqa: PTH112


def _not_here(path: str, *, elsewhere: bool) -> Gap:
    return Gap(
        f'Forge\'s model paths are not on this machine ({path}); map them with [forge.paths] "/app/models" = "/ours"',
        "missing",
        expected=elsewhere,
    )
