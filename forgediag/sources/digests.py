"""The digests a file is known by, each fed the file's slices in order."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Protocol

PIECE = 64 * 1024
PIECES = 64
"""A fingerprint is made of this many pieces of this many bytes."""

AUTOV1_AT = 0x100000
"""Where the bytes of the oldest short hash begin."""


class Digest(Protocol):
    """Takes a file's slices from its first byte to its last. `weight` is the time it takes, SHA-256 being 1."""

    weight: float

    def update(self, data: memoryview, offset: int) -> None:
        """The next slice, which begins at `offset` in the file."""
        ...

    def hexdigest(self) -> str:
        """The identity, in lower case."""
        ...


class Sha256:
    """The whole file's SHA-256."""

    weight = 1.0

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: memoryview, offset: int) -> None:  # noqa: ARG002 - a Digest
        """All of it."""
        self._hash.update(data)

    def hexdigest(self) -> str:
        """64 digits."""
        return self._hash.hexdigest()


class AutoV3:
    """The SHA-256 of everything from `start` on: a safetensors file without its header."""

    weight = 1.0

    def __init__(self, start: int) -> None:
        self._start = start
        self._hash = hashlib.sha256()

    def update(self, data: memoryview, offset: int) -> None:
        """What of it lies behind the header."""
        self._hash.update(data[max(0, self._start - offset) :])

    def hexdigest(self) -> str:
        """64 digits."""
        return self._hash.hexdigest()


class AutoV1:
    """The oldest short hash: 64 KiB at 1 MiB."""

    weight = 0.0

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: memoryview, offset: int) -> None:
        """What of it lies there."""
        if offset < AUTOV1_AT + PIECE and offset + len(data) > AUTOV1_AT:
            self._hash.update(data[max(0, AUTOV1_AT - offset) : AUTOV1_AT + PIECE - offset])

    def hexdigest(self) -> str:
        """8 digits."""
        return self._hash.hexdigest()[:8]


class Crc32:
    """The CRC-32 of zip and zlib."""

    weight = 0.45

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, offset: int) -> None:  # noqa: ARG002 - a Digest
        """All of it."""
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """8 digits."""
        return f"{self._value:08x}"


class Blake3:
    """The whole file's BLAKE3, on one core."""

    weight = 0.28

    def __init__(self) -> None:
        """Start one.

        Raises:
            ImportError: the package `blake3` is not installed.
        """
        import blake3  # noqa: PLC0415 - optional

        self._hash = blake3.blake3()

    @classmethod
    def installed(cls) -> Blake3 | None:
        """One, or None without the package `blake3`."""
        try:
            return cls()
        except ImportError:
            return None

    def update(self, data: memoryview, offset: int) -> None:  # noqa: ARG002 - a Digest
        """All of it."""
        self._hash.update(data)

    def hexdigest(self) -> str:
        """64 digits."""
        return self._hash.hexdigest()


class Fingerprint:
    """The SHA-256 of the pieces spread over the file."""

    weight = 0.0

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256()
        self._pieces = pieces(size)
        self._next = next(self._pieces, None)

    def update(self, data: memoryview, offset: int) -> None:
        """What of it lies in a piece."""
        end = offset + len(data)
        while self._next is not None and self._next[0] < end:
            at, length = self._next
            self._hash.update(data[max(0, at - offset) : at + length - offset])
            if at + length > end:
                return
            self._next = next(self._pieces, None)

    def hexdigest(self) -> str:
        """64 digits."""
        return self._hash.hexdigest()


def pieces(size: int) -> Iterator[tuple[int, int]]:
    """Where the pieces of a fingerprint lie, as (offset, length): the first at the start, the last at the end."""
    if size <= PIECE * PIECES:
        yield from ((at, min(PIECE, size - at)) for at in range(0, size, PIECE))
    else:
        yield from ((number * (size - PIECE) // (PIECES - 1), PIECE) for number in range(PIECES))
