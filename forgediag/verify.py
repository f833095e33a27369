"""A lock file against what is on the disk: which file is the same, changed, corrupted, missing, moved, new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from forgediag.formats.found import as_made
from forgediag.lockfile import Lock, Locked
from forgediag.model import Fault, Finding, Severity

State = Literal["same", "changed", "corrupted", "missing", "moved", "new", "duplicate", "unreadable", "damaged"]

SEVERITIES: Mapping[State, Severity] = {
    "same": Severity.OK,
    "duplicate": Severity.OK,
    "new": Severity.WARNING,
    "moved": Severity.WARNING,
    "unreadable": Severity.UNKNOWN,
    "changed": Severity.FAILURE,
    "missing": Severity.FAILURE,
    "corrupted": Severity.FAILURE,
    "damaged": Severity.FAILURE,
}


FIXES: Mapping[State, tuple[str, ...]] = {
    "corrupted": (
        "Replace the file from its source or a backup before Forge loads it again.",
        "Check the disk (SMART) and the memory: something changed bytes without writing the file.",
    ),
    "changed": (
        "If the change was meant, run forgediag lock and review the difference.",
        "Else replace the file from its source or a backup.",
    ),
    "missing": ("Put the file back, or run forgediag lock when it was removed on purpose.",),
    "moved": ("Run forgediag lock to write down the new place.",),
    "new": ("Run forgediag lock to take the file up.",),
    "unreadable": ("Make the file readable for this user and run forgediag verify again.",),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it is now. `sha256` is None where it was not read, `unreadable` why it could not be.

    `first` is its SHA-256 when it was first read with this size and time of writing, where that was another one;
    `traceless` says that its inode and time of change did not tell it either. `copies` are other paths of the file.
    """

    size: int = 0
    sha256: str | None = None
    unreadable: str | None = None
    first: str | None = None
    traceless: bool = False
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that is not simply as locked. `sha256` is what it is now; `other` the path it moved from or shares.

    `fault` is what is wrong with a damaged one.
    """

    path: str
    state: State
    message: str
    locked: Locked | None = None
    sha256: str | None = None
    other: tuple[str, ...] = field(default=())
    fault: Fault | None = None


def state_of(locked: Locked, seen: Seen) -> State:
    """How one file stands: "corrupted" only where it is known that nobody wrote it."""
    if seen.unreadable is not None or seen.sha256 is None:
        return "changed" if seen.unreadable is None and seen.size != locked.size else "unreadable"
    if seen.sha256 == locked.sha256:
        return "same"
    return "corrupted" if seen.first == locked.sha256 else "changed"


def compare(lock: Lock, now: Mapping[str, Seen]) -> tuple[Difference, ...]:
    """Everything that is not as locked, worst first. `now` holds every file found, by path as the lock writes it."""
    gone = {path: file for path, file in lock.files.items() if path not in now}
    found = [_differs(lock.files[path], seen) for path, seen in now.items() if path in lock.files]
    found += _new(gone, {path: seen for path, seen in now.items() if path not in lock.files})
    moved = {path for item in found if item is not None and item.state == "moved" for path in item.other}
    found += [_missing(file) for path, file in gone.items() if path not in moved]
    return ranked([item for item in found if item is not None] + _duplicates(lock, now))


def ranked(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """The worst first, and of those the ones that say most of the cause."""
    key = {state: (-severity, state != "damaged", state) for state, severity in SEVERITIES.items()}
    return tuple(sorted(differences, key=lambda item: (key[item.state], item.path)))


def damaged(faults: Mapping[str, Fault]) -> tuple[Difference, ...]:
    """What is wrong with the files themselves, as locked or not, but for those that are as their makers left them."""
    return tuple(
        Difference(path, "damaged", fault.message, fault=fault)
        for path, fault in faults.items()
        if not as_made(fault.id)
    )


def _differs(locked: Locked, seen: Seen) -> Difference | None:
    state = state_of(locked, seen)
    if state == "same":
        return None
    messages: dict[State, str] = {
        "corrupted": "its contents changed, though its size and its time of writing did not: "
        + ("no trace of a write" if seen.traceless else "whatever wrote it set its time back"),
        "changed": f"it has {seen.size:,} bytes, {locked.size:,} are locked"
        if seen.size != locked.size
        else "it has other contents of the same size",
        "unreadable": f"it {seen.unreadable or 'was not read'}: whether it is as locked is not known",
    }
    return Difference(locked.path, state, messages[state], locked, seen.sha256)


def _missing(locked: Locked) -> Difference:
    return Difference(
        locked.path, "missing", "it is not there any more, nor are its contents under another name", locked
    )


def _new(gone: Mapping[str, Locked], new: Mapping[str, Seen]) -> list[Difference | None]:
    by_hash: dict[str, list[str]] = {}
    for path, file in gone.items():
        by_hash.setdefault(file.sha256, []).append(path)
    found: list[Difference | None] = []
    for path, seen in sorted(new.items()):
        olds = by_hash.get(seen.sha256 or "")
        if seen.unreadable is not None:
            found.append(Difference(path, "unreadable", f"it {seen.unreadable}; it is not locked"))
        elif olds:
            old = olds.pop(0)
            found.append(Difference(path, "moved", f"it was {old}", gone[old], seen.sha256, (old,)))
        else:
            found.append(Difference(path, "new", "it is not locked", None, seen.sha256))
    return found


def _duplicates(lock: Lock, now: Mapping[str, Seen]) -> list[Difference]:
    """One for each group of paths with the same contents, at the first of them."""
    groups: dict[str, list[str]] = {}
    for path, seen in now.items():
        locked = lock.files.get(path)
        known = seen.sha256 or (locked.sha256 if locked is not None and seen.unreadable is None else None)
        if known is not None:
            groups.setdefault(known, []).append(path)
    found: list[Difference] = []
    for sha256, paths in groups.items():
        first, *others = sorted(paths)
        if others and now[first].sha256 is not None:
            linked = set(others) <= set(now[first].copies)
            how = "by links: no space is taken twice" if linked else "on the disk more than once"
            message = f"the same contents as {', '.join(others)}, {how}"
            found.append(Difference(first, "duplicate", message, lock.files.get(first), sha256, tuple(others)))
    return found


def findings(differences: Sequence[Difference]) -> tuple[Finding, ...]:
    """The differences as findings of a report."""
    return tuple(
        Finding(
            check=f"model-file-{item.state}",
            severity=SEVERITIES[item.state],
            target="",
            subject=item.path,
            message=f"{item.path}: {item.message}",
            evidence=_evidence(item),
            fix=FIXES.get(item.state, ()) if item.fault is None else item.fault.fix,
        )
        for item in differences
    )


def _evidence(item: Difference) -> dict[str, object]:
    evidence: dict[str, object] = {"state": item.state}
    if item.locked is not None:
        evidence["locked_sha256"] = item.locked.sha256
    if item.sha256 is not None:
        evidence["sha256"] = item.sha256
    if item.fault is not None:
        evidence |= {"fault": item.fault.id, "offset": item.fault.offset, "forge_says": item.fault.forge_says}
    if item.other:
        evidence["other"] = list(item.other)
    return evidence
