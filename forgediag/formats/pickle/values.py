"""What stands on the stack instead of real objects: nothing here can run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["call", "name", "stub", "unknown"]
"""May be called; may only be named; Forge's own inert stand-in; not on the list."""


@dataclass(slots=True, eq=False)
class Global:
    """A class or function a pickle asks for by name."""

    module: str
    name: str
    kind: Kind

    @property
    def full(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Pairs:
    """A dict as its items in order, so that no key is ever hashed."""

    pairs: list[tuple[object, object]] = field(default_factory=list[tuple[object, object]])


@dataclass(slots=True, eq=False)
class Made:
    """The result of a call that was not made."""

    of: str


@dataclass(slots=True, eq=False)
class Storage:
    """A storage that tensors share: its key in the file, elements and dtype (safetensors spelling)."""

    dtype: str
    key: str
    numel: int


@dataclass(slots=True, eq=False)
class Array:
    """A tensor: a view of a storage. `offset` and `stride` in elements; `parts` hold the data of a sparse one."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] = ()
    offset: int = 0
    storage: Storage | None = None
    parts: tuple[Array, ...] = ()


OPAQUE = Made("")
"""A value that is of no interest: a long text, a set."""
