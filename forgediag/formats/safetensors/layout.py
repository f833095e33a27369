"""Whether the tensors of a safetensors header fill its data without hole or overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from forgediag.formats.faults import fault
from forgediag.formats.safetensors.dtypes import BITS, NEWER_BITS
from forgediag.formats.safetensors.refusal import UNREAD, Entry, Refused
from forgediag.model import Fault, Tensor

_USIZE_MAX = 2**64 - 1
_PRINTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def place(entries: Mapping[str, Entry], room: int, start: int) -> dict[str, Tensor]:
    """The tensors in the order of their data.

    Args:
        entries: what the header says of each tensor.
        room: bytes behind the header.
        start: where the data begins in the file.

    Raises:
        Refused: they do not fill the data exactly, or a dtype is newer than Forge's safetensors.
    """
    newer = next((name for name, entry in entries.items() if entry[0] in NEWER_BITS), None)
    tensors: dict[str, Tensor] = {}
    position = 0
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != position or end < begin:
            message = f"tensor {name!r} lies at {begin:,} to {end:,}, but the data before it ends at {position:,}"
            _refuse(f"InvalidOffset({debug(name)})", fault("tensor-offsets", message, offset=start + position), newer)
        taken, printed = _bytes(dtype, shape)
        if taken != end - begin:
            needs = "more bytes than can be counted" if taken is None else f"{taken:,} bytes"
            message = f"tensor {name!r} needs {needs} by its shape and dtype but has {end - begin:,}"
            _refuse(printed, fault("tensor-size", message, offset=start + begin), newer)
        position = end
        tensors[name] = Tensor(dtype, shape, end - begin)
    if position != room:
        _refuse("MetadataIncompleteBuffer", not_covered(position, room, start), newer)
    if newer is not None:
        message = (
            f"tensor {newer!r} has dtype {entries[newer][0]}, which the safetensors 0.4.2 that Forge pins cannot read"
        )
        raise Refused(UNREAD, fault("dtype-newer-than-forge", message, offset=8))
    return tensors


def _refuse(printed: str, found: Fault, newer: str | None) -> NoReturn:
    raise Refused(UNREAD if newer is not None else printed, found)


def _bytes(dtype: str, shape: tuple[int, ...]) -> tuple[int | None, str]:
    """Bytes a tensor takes, None for more than 64 bits can count or no whole number, and what 0.4.2 then prints."""
    taken = 1
    for size in shape:
        taken *= size
        if taken > _USIZE_MAX:
            return None, "ValidationOverflow"
    bits = taken * BITS[dtype]
    if bits > 8 * _USIZE_MAX:
        return None, "ValidationOverflow"
    return (None if bits % 8 else bits // 8), "TensorInvalidInfo"


def not_covered(described: int, room: int, start: int) -> Fault:
    """A file that has more or less data than its header describes."""
    if described > room:
        share = room / described
        message = f"the file is cut: {described:,} bytes of weights belong in it, {room:,} are there ({share:.1%})"
        return fault("data-cut", message, offset=start + room)
    extra = f"{room - described:,} bytes follow the last tensor that the header does not describe"
    return fault("data-extra", extra, offset=start + described)


def debug(name: str) -> str:
    """A string as Rust's `{:?}` prints it."""
    return '"' + "".join(_PRINTED.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in name) + '"'
