"""A lock file made, or compared, from the files of folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forgediag.forge.folders import Folder
from forgediag.lockfile import Lock, Locked
from forgediag.model import Fault, ModelFile
from forgediag.sources import shelves
from forgediag.sources.headers import Headers
from forgediag.sources.inventory import Entry, Inventory, walk
from forgediag.sources.library import PATIENCE, Reader, Taken
from forgediag.sources.lock_file import lock_name
from forgediag.sources.patience import patiently
from forgediag.sources.pieces import incomplete_folders
from forgediag.sources.records import Record, Records
from forgediag.verify import Difference, Seen, State, compare, damaged, ranked, state_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the differences, how many files were `read` and how many `trusted`, and when the oldest was."""

    differences: tuple[Difference, ...]
    files: int
    read: int
    trusted: int
    oldest: float | None
    lock: Lock = field(default=Lock(()))


def lock_files(base: Path, places: Sequence[Folder], previous: Lock, reader: Reader) -> Outcome:
    """A new lock of the files below these folders, and what is different from the previous one.

    What cannot be read keeps its block, and so does what is corrupted: a lock never blesses silent damage. Files of
    the previous lock that lie below none of these folders stay as they are.
    """
    inventory = _walk(places)
    entries = {lock_name(entry.path, base): entry for entry in inventory.entries if entry.whole}
    there = tuple(folder.path for folder in places if os.path.exists(folder.path))  # noqa: PTH110
    files = {
        name: file
        for name, file in previous.files.items()
        if not _below_any(path := _path(name, base), there, none=False)
        or _below_any(path, inventory.skipped, none=False)
    }
    tally, differences = _Tally(), list(_unreachable(previous, base, inventory))
    for name in [name for name in entries if not _utf8(name)]:
        del entries[name]
        differences.append(Difference(ascii(name), "unreadable", "it has a name that is not UTF-8: not locked"))
    headers, faults = Headers(reader.records), dict[str, Fault]()
    for name, entry, taken in reader.take_all(entries):
        tally.count(taken)
        old = previous.files.get(name)
        difference = _change(name, old, entry, taken)
        if difference is not None:
            differences.append(difference)
        if taken.record is not None and (difference is None or difference.state != "corrupted"):
            file = headers.of(entry.path, entry.path, entry.role, taken.record.stamp)
            files[name] = _locked(name, file, taken.record)
            if file.fault is not None:
                faults[name] = file.fault
        elif old is not None:
            files[name] = old
    headers.flush()
    differences += damaged(faults)
    gone = [name for name in previous.files if name not in files and name not in entries]
    differences += [
        Difference(name, "missing", "it is gone: its block is removed", previous.files[name]) for name in gone
    ]
    folders = tuple(dict.fromkeys((*previous.folders, *(lock_name(folder.path, base) for folder in places))))
    return tally.outcome(tuple(differences), len(entries), Lock(folders, files))


def verify_files(base: Path, lock: Lock, reader: Reader, only: Collection[str] = ()) -> Outcome:
    """The files of a lock as they are now, and the new ones in its folders; `only` those below these paths."""
    places = [place for folder in lock.folders for place in shelves.places(_path(folder, base))]
    inventory = _walk([*places, *(Folder("other", path) for path in _outside(lock, base, places))])
    chosen = {name: file for name, file in lock.files.items() if _below_any(_path(name, base), only)}
    wanted = Lock(lock.folders, chosen)
    entries = {
        lock_name(entry.path, base): entry
        for entry in inventory.entries
        if entry.whole and _below_any(entry.path, only)
    }
    links = inventory.hard_links()
    sizes = {file.size for file in wanted.files.values()}
    now = {item.path: Seen(unreadable=item.message) for item in _unreachable(wanted, base, inventory)}
    look: dict[str, Entry] = {}
    for name, entry in entries.items():
        locked = wanted.files.get(name)
        if entry.stamp.size == locked.size if locked is not None else entry.stamp.size in sizes:
            look[name] = entry
        now[name] = Seen(entry.stamp.size, copies=tuple(lock_name(path, base) for path in links.get(entry.path, ())))
    tally = _Tally()
    for name, entry, taken in reader.take_all(look):
        now[name] = _seen(entry, tally.count(taken), now[name].copies)
    faults = _faults(entries, reader.records)
    incomplete = incomplete_folders(path for path in inventory.indexes if _below_any(path, only))
    faults |= {lock_name(path, base): fault for path, fault in incomplete.items()}
    return tally.outcome(ranked([*compare(wanted, now), *damaged(faults)]), len(entries), lock)


def _faults(entries: Mapping[str, Entry], records: Records) -> dict[str, Fault]:
    """What is wrong with files by themselves, from their headers and from when they were read whole."""
    headers, faults = Headers(records), dict[str, Fault]()
    for name, entry in entries.items():
        try:
            file = headers.of(entry.path, entry.path, entry.role, entry.stamp)
        except OSError:  # told already
            continue
        if file.fault is not None:
            faults[name] = file.fault
    headers.flush()
    return faults


def _walk(places: Sequence[Folder]) -> Inventory:
    return patiently(lambda beat: walk(places, beat), PATIENCE)


@dataclass(slots=True)
class _Tally:
    read: int = 0
    trusted: int = 0
    oldest: float | None = None

    def count(self, taken: Taken) -> Taken:
        if taken.record is not None:
            self.read += taken.read
            self.trusted += not taken.read
            self.oldest = min(taken.record.at, self.oldest or taken.record.at)
        return taken

    def outcome(self, differences: tuple[Difference, ...], files: int, lock: Lock) -> Outcome:
        return Outcome(differences, files, self.read, self.trusted, self.oldest, lock)


def _seen(entry: Entry, taken: Taken, copies: tuple[str, ...] = ()) -> Seen:
    record = taken.record
    if record is None:
        return Seen(entry.stamp.size, unreadable=taken.unreadable, copies=copies)
    return Seen(record.stamp.size, record.sha256, None, record.first, record.traceless, copies)


def _change(name: str, old: Locked | None, entry: Entry, taken: Taken) -> Difference | None:
    """What is told of a file while it is locked."""
    if taken.record is None:
        return Difference(name, "unreadable", f"it {taken.unreadable}: its block stays as it was", old)
    sha256 = taken.record.sha256
    if old is None:
        return Difference(name, "new", "it is locked now", None, sha256)
    state: State = state_of(old, _seen(entry, taken))
    if state == "same":
        return None
    messages: Mapping[str, str] = {
        "corrupted": "its contents changed though its size and time of writing did not: its block stays as it was",
        "changed": "its new contents are locked now",
    }
    return Difference(name, state, messages[state], old, sha256)


def _locked(name: str, file: ModelFile, record: Record) -> Locked:
    family = file.family if file.fault is None else "damaged"
    return Locked(name, record.stamp.size, record.sha256, file.format, family, record.autov3, record.blake3)


def _unreachable(lock: Lock, base: Path, inventory: Inventory) -> list[Difference]:
    """Locked files that may well be there, but below something that cannot be looked at."""
    found: list[Difference] = []
    walls = {path: why for path, why in inventory.skipped.items() if not why.endswith("again")}
    for folder in lock.folders:
        path = _path(folder, base)
        if not os.path.isdir(path) and not os.path.isfile(path):  # noqa: PTH112, PTH113
            walls.setdefault(path, f"is in {folder}, which is not there: is its disk mounted?")
    for name in lock.files:
        path = _path(name, base)
        wall = next((why for wall, why in walls.items() if path == wall or path.startswith(wall + os.sep)), None)
        if wall is not None:
            found.append(Difference(name, "unreadable", wall, lock.files[name]))
    return found


def _outside(lock: Lock, base: Path, places: Sequence[Folder]) -> list[str]:
    roots = tuple(folder.path for folder in places)
    return [path for name in lock.files if not _below_any(path := _path(name, base), roots, none=False)]


def _below_any(path: str, roots: Collection[str], *, none: bool = True) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots) if roots else none


def _path(name: str, base: Path) -> str:
    return str(base) if name == "." else os.path.join(base, *name.split("/")) if not os.path.isabs(name) else name  # noqa: PTH117, PTH118


def _utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
