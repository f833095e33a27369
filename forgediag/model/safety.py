"""What loading a file would run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One thing a pickle imports or calls that no model file needs.

    `module` and `name` are "" where the pickle makes them up while it is loaded. `position` is that of the opcode in
    `member`, the record of the archive ("" for a file that is no archive).
    """

    module: str
    name: str
    opcode: str
    position: int
    member: str = ""

    @property
    def target(self) -> str:
        """What is imported or called, in one word."""
        return f"{self.module}.{self.name}" if self.module or self.name else "something named while it is loaded"


@dataclass(frozen=True, slots=True)
class Safety:
    """What was found in a pickle file without loading it.

    `tricks` are ways of packing that torch.save never uses and that mislead scanners. `unread` says why a part could
    not be judged: a broken or oversized pickle.
    """

    calls: tuple[Call, ...] = ()
    tricks: tuple[str, ...] = ()
    unread: str | None = None

    @property
    def safe(self) -> bool:
        """Whether all of it was judged and nothing in it runs code."""
        return not self.calls and not self.tricks and self.unread is None
