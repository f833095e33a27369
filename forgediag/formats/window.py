"""A file as a parser sees it: its size, and the pieces it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Window(Protocol):
    """Random access to a file's bytes. The reader behind it decides how much it hands out in all."""

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on: fewer than `length` only at the end of the file.

        Raises:
            OSError: the file cannot be read there, or the reader's limit is reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the numbers of a tensor, or of the storage that holds it, lie in a file. `dtype` as the file spells it."""

    name: str
    dtype: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Held:
    """A file that is held in memory whole."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        """A slice of them."""
        return self.content[offset : offset + length]
