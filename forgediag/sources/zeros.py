"""Blocks of zeros only: what a download that was preallocated, or a disk that lost pages, leaves behind."""

from __future__ import annotations

ZERO_BLOCK = 64 * 1024
"""The size of the blocks looked at, in bytes."""

_ZEROS = bytes(ZERO_BLOCK)
_PEEK = 64


class Zeros:
    """Finds them in slices given in order; a slice begins at a multiple of the block size, or is a sample."""

    weight = 0.01

    def __init__(self) -> None:
        self.total = 0
        self.longest: tuple[int, int] | None = None
        self._run = (0, 0)

    def update(self, data: memoryview, offset: int) -> None:
        """The next slice."""
        for start in range(0, len(data), ZERO_BLOCK):
            if _zero(data[start : start + _PEEK]) and _zero(data[start : start + ZERO_BLOCK]):
                self._found(offset + start, min(ZERO_BLOCK, len(data) - start))

    def _found(self, offset: int, length: int) -> None:
        begin, before = self._run
        follows = begin + before == offset and before > 0
        if length < ZERO_BLOCK and not follows:
            return  # the last few bytes of a file may well be zeros
        self._run = (begin, before + length) if follows else (offset, length)
        self.total += length
        if self.longest is None or self._run[1] > self.longest[1]:
            self.longest = self._run


def _zero(data: memoryview) -> bool:
    return data.tobytes() == _ZEROS[: len(data)]
