"""Files whose weights were never written: zeros or a hole at the end, or long stretches of zeros inside."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from forgediag.formats.faults import fault
from forgediag.formats.window import Window
from forgediag.model import Fault, Header

BLOCK = 4096
"""Bytes of each look."""
_LONGEST, _SHORTEST = 1024 * 1024, 64 * 1024
SAMPLES = 160
"""Blocks looked at by `sampled`: a stretch of 5 % of the file holds 7 or 8 of them."""
_RUN = 5
"""Samples in a row that must be zero: real models have zero tensors, but none of 3 % of the file."""


@runtime_checkable
class OnDisk(Protocol):
    """A window that knows which part of the file the disk holds."""

    def written(self) -> int:
        """Where the last byte that was written ends."""
        ...


def unwritten(window: Window, header: Header) -> Fault | None:
    """Whether the end of a file whose header is whole was never written.

    Zeros count when they are no tensor of their own: the last tensor may be all zeros in a good file, so the zeros
    must begin inside a tensor or reach into the one before. Files under 256 KiB are not judged.
    """
    size = window.size
    length = max(_SHORTEST, min(_LONGEST, size // 16))
    if size < 4 * _SHORTEST or not header.tensors:
        return None
    if any(window.read(size - BLOCK, BLOCK)) or any(window.read(size - length, length)):
        return None
    *_, last = header.tensors.values()
    begin = size - last.nbytes
    if last.nbytes > length and not any(window.read(begin, BLOCK)) and any(window.read(begin - BLOCK, BLOCK)):
        return None
    if isinstance(window, OnDisk) and (written := window.written()) < size:
        message = f"the last {size - written:,} bytes of the file were never written to the disk"
        return fault("tail-hole", message, offset=written)
    return fault("tail-zeros", f"the file ends in zeros: the last {length:,} bytes at least", offset=size - length)


def sampled(window: Window, start: int = 0) -> Fault | None:
    """Whether a long stretch of a file is zeros, by looking at `SAMPLES` blocks: finds any of 5 % of the file.

    Args:
        window: the file.
        start: where its data begins.

    Raises:
        OSError: the file cannot be read.
    """
    room = window.size - start
    if room < SAMPLES * BLOCK:
        return None
    run = 0
    for number in range(SAMPLES):
        place = start + (room - BLOCK) * number // (SAMPLES - 1)
        run = 0 if any(window.read(place, BLOCK)) else run + 1
        if run == _RUN:
            begin = start + (room - BLOCK) * (number - _RUN + 1) // (SAMPLES - 1)
            message = f"from about {begin:,} on the file is zeros, for {place - begin:,} bytes at least"
            return fault("zero-stretch", message, offset=begin)
    return None
