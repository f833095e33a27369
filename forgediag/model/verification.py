"""Whether files are still what they were: what the background verification knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "changed", "corrupted", "missing", "unreadable", "pending"]
"""How a file stands: "corrupted" changed without a trace of a write, "pending" was not read yet in this version."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """One file that is not as it should be. `expected` and `found` are SHA-256s, `at` Unix seconds of the read."""

    path: str
    verdict: Verdict
    reason: str
    expected: str | None = None
    found: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """All files of one Forge, read one after the other over days.

    They are compared with a lock file, or without one with what they were at the first read. `counts` are files by
    verdict; `fresh` of `total` bytes were read within the last round of `seconds`; `oldest` is the Unix time of the
    read that is longest ago, None before the first.
    """

    against: Literal["lock", "first read"]
    counts: Mapping[Verdict, int]
    total: int
    fresh: int
    seconds: float
    oldest: float | None = None
    troubled: tuple[Troubled, ...] = ()
