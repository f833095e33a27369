"""What is known, what is not and why, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias, TypeVar

MB = 1024 * 1024
"""One MB as Forge sets and prints it: 1 048 576 bytes."""

T = TypeVar("T")

GapKind = Literal[
    "starting",  # not read yet
    "refused",  # nothing listens there, or the name does not resolve
    "timeout",  # it listens but does not answer in time
    "unauthorized",  # it wants a password, or another one
    "not_forge",  # something else answers there
    "invalid",  # an answer that cannot be read
    "missing",  # the library, file or process does not exist
    "lost",  # it was there and has gone: GPU off the bus, driver reloaded
    "hung",  # a call into the driver does not come back
    "unsupported",  # this driver, fork or system does not have it
    "failed",  # anything else, named in the reason
]


@dataclass(frozen=True, slots=True)
class Gap:
    """A fact that could not be had, and why. Unknown is not empty.

    `reason` is one line for a person. An `expected` gap (no NVIDIA driver on a machine without a card)
    is shown but is no finding.
    """

    reason: str
    kind: GapKind = "failed"
    expected: bool = False


Known: TypeAlias = T | Gap
"""Either the fact or the reason why it is not known."""


class Severity(IntEnum):
    """How bad a finding is, as exported in `forge_check_status`."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    FAILURE = 3

    @property
    def label(self) -> str:
        """The lower-case word used in JSON and on the terminal."""
        return self.name.lower()
