"""The model files that lie in folders, found without opening any: links followed, loops and pipes named."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from forgediag.forge.folders import RULES, Folder, model_name, why_unlisted
from forgediag.model import Role
from forgediag.sources.stamp import Stamp, reason

MOST = 100_000
"""Files and folders looked at in one walk; what comes after them is named, not looked at."""

INDEXES = (".index.json", "model_index.json")
"""How the names of indexes end that diffusers and transformers write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model file. `inside` is its path in its folder, with `/`; `device` its file system.

    `unlisted` says why Forge does not list it, `leads_to` where a link leads that leaves all folders.
    """

    path: str
    role: Role
    inside: str
    stamp: Stamp
    device: int
    unlisted: str | None = None
    leads_to: str | None = None

    @property
    def whole(self) -> bool:
        """Whether its name is a model's, not that of a leftover."""
        name = os.path.basename(self.path)  # noqa: PTH119
        return model_name(name) == name


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a walk found: files by path, and why what is none or cannot be looked at was left out.

    `indexes` are the files that name the pieces of a model in the layout of diffusers.
    """

    entries: tuple[Entry, ...]
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])
    indexes: tuple[str, ...] = ()

    def hard_links(self) -> Mapping[str, tuple[str, ...]]:
        """For each file with more names than one: its other paths here, by links of either kind."""
        names: dict[tuple[int, int], list[str]] = {}
        for entry in self.entries:
            if entry.stamp.inode:  # some file systems have none
                names.setdefault((entry.device, entry.stamp.inode), []).append(entry.path)
        return {
            path: tuple(other for other in paths if other != path)
            for paths in names.values()
            if len(paths) > 1
            for path in paths
        }


def walk(folders: Iterable[Folder], beat: Callable[[], None] = lambda: None) -> Inventory:
    """Every model file below these folders; a folder that does not exist has none.

    Nothing is opened: what is no regular file (a pipe, a device) is only named. A folder is walked once for each role,
    however many links lead to it, so a loop of links ends.

    Args:
        folders: where to look; a `path` may also be a file.
        beat: called before each folder is read: it may raise to end the walk.
    """
    found = _Walk(tuple(folders), beat)
    for folder in found.folders:
        found.look(folder)
    return Inventory(tuple(found.entries[path] for path in sorted(found.entries)), found.skipped, tuple(found.indexes))


class _Walk:
    def __init__(self, folders: tuple[Folder, ...], beat: Callable[[], None]) -> None:
        self.folders = folders
        self.entries: dict[str, Entry] = {}
        self.skipped: dict[str, str] = {}
        self.indexes: list[str] = []
        self._beat = beat
        self._roots = tuple(os.path.realpath(folder.path) for folder in folders)
        self._walked: dict[tuple[Role, int, int], str] = {}
        self._seen = 0

    def look(self, folder: Folder) -> None:
        try:
            found = os.stat(folder.path)  # noqa: PTH116 - thousands of them
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            self.skipped[folder.path] = reason(error)
            return
        if stat.S_ISDIR(found.st_mode):
            self._folder(folder.role, folder.path, "", os.path.realpath(folder.path))
        else:
            self._file(folder.role, folder.path, os.path.basename(folder.path), found)  # noqa: PTH119

    def _folder(self, role: Role, path: str, inside: str, real: str) -> None:
        self._beat()
        try:
            found = os.stat(path)  # noqa: PTH116
            first = self._walked.setdefault((role, found.st_dev, found.st_ino), path)
            if first != path and found.st_ino:
                self.skipped[path] = f"is the folder {first} again"
                return
            with os.scandir(path) as rows:
                items = sorted(rows, key=lambda row: row.name)
        except (OSError, ValueError) as error:
            self.skipped[path] = reason(error)
            return
        for item in items:
            self._item(role, item, f"{inside}{item.name}", real)

    def _item(self, role: Role, item: os.DirEntry[str], inside: str, real: str) -> None:
        self._seen += 1
        if self._seen > MOST:
            self.skipped[item.path] = f"was not looked at: there are more than {MOST:,} files"
            return
        try:
            link = item.is_symlink()
            folder = item.is_dir()
            if not folder and model_name(item.name) is None:
                if item.name.endswith(INDEXES):
                    self.indexes.append(item.path)
                return
            found = None if folder else os.stat(item.path)  # noqa: PTH116
        except (OSError, ValueError) as error:
            self.skipped[item.path] = "is a link to nothing" if _dangles(item) else reason(error)
            return
        target = os.path.realpath(item.path) if link else f"{real}{os.sep}{item.name}"
        if found is not None:
            self._file(role, item.path, inside, found, target)
        elif link and role in RULES and not RULES[role].links:
            self.skipped[item.path] = "is a link to a folder, which Forge does not follow here"
        else:
            self._folder(role, item.path, f"{inside}/", target)

    def _file(self, role: Role, path: str, inside: str, found: os.stat_result, target: str | None = None) -> None:
        if not stat.S_ISREG(found.st_mode):
            self.skipped[path] = f"is {_kind(found.st_mode)}: it is not opened"
            return
        away = target is not None and not any(_below(target, root) for root in self._roots)
        entry = Entry(
            path=path,
            role=role,
            inside=inside,
            stamp=Stamp.of(found),
            device=found.st_dev,
            unlisted=why_unlisted(role, inside),
            leads_to=target if away else None,
        )
        self.entries.setdefault(path, entry)


def _dangles(item: os.DirEntry[str]) -> bool:
    return item.is_symlink() and not os.path.lexists(os.path.realpath(item.path))


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _kind(mode: int) -> str:
    names = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"))
    return next((name for test, name in names if test(mode)), "a device")


def existing(folders: Iterable[Folder]) -> Iterator[Folder]:
    """Those of the folders that are there."""
    for folder in folders:
        if os.path.isdir(folder.path):  # noqa: PTH112
            yield folder
