"""A file read whole: what it is known by, and damage that its header does not tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from forgediag.formats import tail
from forgediag.formats.window import Window
from forgediag.model import Fault
from forgediag.model.identity import Identity
from forgediag.sources.identity import Gate, Stopped, identify
from forgediag.sources.reading import Changed, Reading
from forgediag.sources.records import Record
from forgediag.sources.stamp import Stamp

USUAL = frozenset({"sha256", "autov3"})
"""The identities that every command remembers."""


def read_whole(
    path: str,
    *,
    wanted: frozenset[str] = USUAL,
    content: bool = False,
    gate: Gate | None = None,
    cores: int | None = None,
    wall: Callable[[], float] = time.time,
) -> tuple[Record, Identity]:
    """What a file is, for `Records`, and its identities.

    A torch archive is read twice: its records have checksums of their own.

    Args:
        path: the file.
        wanted: as for `identify`.
        content: as for `identify`.
        gate: asked before each block, as by `identify`.
        cores: as for `identify`.
        wall: Unix seconds.

    Raises:
        OSError: it cannot be read; `Changed`: it is not what it was when the read began.
        Stopped: the gate said so.
    """
    began, stamp = wall(), Stamp.at(path)
    found = identify(path, wanted=wanted, content=content, gate=gate, cores=cores)
    damage = damaged(path, gate, found.size)
    if Stamp.at(path) != stamp:
        raise Changed("it changed while it was read")
    return Record(stamp, found.sha256, began, wall(), found.autov3, found.blake3, found.crc32, damage), found


def damaged(path: str, gate: Gate | None = None, done: int = 0) -> Fault | None:
    """What is wrong with a file's contents though its header may be good: a changed record, a stretch of zeros.

    Args:
        path: the file.
        gate: asked before each piece, with the bytes read so far, `done` of them before.
        done: see there.

    Raises:
        OSError: it cannot be read.
        Stopped: the gate said so.
    """
    with Reading(path) as reading:
        if reading.read(0, 4) == b"PK\x03\x04":
            from forgediag.formats.pickle import bad_records  # noqa: PLC0415 - few have such files

            found = list(bad_records(_Gated(reading, gate, done)))
            if found:
                more = f", and {len(found) - 1} more records are damaged" if len(found) > 1 else ""
                return replace(found[0], message=found[0].message + more)
    return stretches(path)


def stretches(path: str) -> Fault | None:
    """A long stretch of zeros, looked for in 160 places: milliseconds.

    Raises:
        OSError: it cannot be read.
    """
    with Reading(path, samples=True) as reading:
        return tail.sampled(reading)


@dataclass(slots=True)
class _Gated:
    """A window without a limit of its own: a gate decides when it goes on."""

    inner: Window
    gate: Gate | None
    done: int

    @property
    def size(self) -> int:
        return self.inner.size

    def read(self, offset: int, length: int) -> bytes:
        if self.gate is not None and not self.gate(self.done):
            raise Stopped
        self.done += length
        return self.inner.read(offset, length)
