"""What changed over time: options, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Cause = Literal["forgediag", "page", "restart", "other"]
"""How an option came to change: our own write, the web page being opened, a restart of Forge, another client."""


@dataclass(frozen=True, slots=True)
class OptionChange:
    """One option of one Forge at one moment (`at`, Unix seconds). `id` is the history's, 0 before it is kept."""

    at: float
    target: str
    key: str
    old: Any
    new: Any
    cause: Cause
    id: int = 0


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """The worst severity changed. `findings` are the checks that told it, as `check: subject`."""

    at: float
    verdict: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a probe that was killed left selected in Forge: options still to be put back, from the journal at `path`.

    `unreadable` says why the journal does not tell; `values` are empty then.
    """

    path: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unreadable: str | None = None
