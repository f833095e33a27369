"""GGUF files: the header's tensors, whether their data is there, and what Forge's reader says if not."""

from __future__ import annotations

import math
from dataclasses import replace

from forgediag.formats.faults import fault
from forgediag.formats.gguf.head import Damaged, Head, read_head
from forgediag.formats.gguf.reference import says
from forgediag.formats.gguf.types import BLOCKS, COMPUTES, FORGE_READS, ITEMS, SCALES, TYPES
from forgediag.formats.window import Place, Window
from forgediag.model import Fault, Header, Tensor

__all__ = ["BLOCKS", "SCALES", "piece", "places", "read"]

_ALIGNMENT = "general.alignment"
_UINT32 = 4


def read(window: Window) -> Header | Fault:
    """The header of a file that begins with GGUF (version 2 or 3), or what is wrong with it.

    Shapes are in torch's order, the file's reversed; `nbytes` follows from type and shape. Metadata holds the strings.
    `forge_says` of a fault is how the reader in Forge dfdcbab ends; None where it reads the file all the same. What is
    odd about a file that Forge reads in full is the header's `doubt`.

    Raises:
        OSError: the window does not give as much as the header takes.
    """
    try:
        head = read_head(window)
        tensors, doubt = _place(head, window)
    except Damaged as damaged:
        return replace(damaged.fault, forge_says=_forge(window))
    metadata = {name: value for name, (_, value) in head.keys.items() if isinstance(value, str) and value}
    return Header("gguf", tensors, metadata, doubt)


def _forge(window: Window) -> str | None:
    try:
        return says(window, "forge")
    except OSError:
        return "UnicodeDecodeError: 'utf-8' codec can't decode"


def _place(head: Head, window: Window) -> tuple[dict[str, Tensor], Fault | None]:
    alignment = _alignment(head)
    start = head.end + -head.end % alignment
    tensors: dict[str, Tensor] = {}
    doubt: Fault | None = _split(head)
    known: dict[tuple[tuple[int, ...], int], Tensor] = {}
    position = 0
    room = window.size - start
    for name, dims, number, offset in head.rows:
        tensor = known.get((dims, number))
        if tensor is None:
            tensor = known[dims, number] = _tensor(name, dims, number, start + offset)
        if name in tensors:
            raise Damaged(fault("gguf-duplicate", f"the tensor {name!r} occurs twice", offset=start + offset))
        end = offset + tensor.nbytes
        if end > room:
            raise Damaged(_cut(head, window.size, start, name))
        if doubt is None and offset != position:
            where = f"tensor {name!r} lies at {offset:,}, but the data before it ends at {position:,}"
            doubt = fault("gguf-offsets", where, offset=start + offset)
        tensors[name] = tensor
        position = end + -end % alignment
    doubt = doubt or _not_computed(tensors)
    return tensors, doubt or _extra(window, start + position, alignment)


def _alignment(head: Head) -> int:
    kind, value = head.keys.get(_ALIGNMENT, (_UINT32, 32))
    if kind != _UINT32 or not isinstance(value, int) or value == 0 or value & (value - 1):
        raise Damaged(fault("gguf-alignment", f"the alignment is {value!r}, no power of two", offset=24))
    return value


def _tensor(name: str, dims: tuple[int, ...], number: int, offset: int) -> Tensor:
    if number not in FORGE_READS:
        newer = " (it is newer than Forge)" if number in TYPES else ""
        raise Damaged(fault("gguf-type", f"tensor {name!r} has type {number}, unknown to Forge{newer}", offset=offset))
    kind, block, size = TYPES[number]
    count = math.prod(dims)
    wide = dims[0] if dims else int(kind in ITEMS)
    # numpy refuses a shape by its sizes other than 0
    most = math.prod(length for length in dims if length) * size
    if wide % block or most >= 2**63 or not (dims or wide):
        raise Damaged(fault("gguf-shape", f"tensor {name!r} of type {kind} has the shape {dims}", offset=offset))
    return Tensor(f"GGUF:{kind}", dims[::-1], count // block * size)


def _cut(head: Head, size: int, start: int, name: str) -> Fault:
    total = 0
    for _, dims, number, offset in head.rows:
        _, block, width = TYPES.get(number, ("", 1, 1))
        count = 1
        for length in dims:
            count *= length
        total = max(total, offset + count // block * width)
    room = max(0, size - start)
    message = f"the file is cut: {total:,} bytes of weights belong in it, {room:,} are there; {name!r} is not whole"
    return fault("data-cut", message, offset=size)


def _not_computed(tensors: dict[str, Tensor]) -> Fault | None:
    for kind in {tensor.dtype for tensor in tensors.values()}:
        if kind[5:] not in COMPUTES:
            name = next(name for name, tensor in tensors.items() if tensor.dtype == kind)
            return fault("gguf-type-forge", f"tensor {name!r} is {kind[5:]}, which Forge cannot compute")
    return None


def _split(head: Head) -> Fault | None:
    found = _piece(head)
    if found is None:
        return None
    number, count = found
    return fault("gguf-split", f"the file is piece {number} of {count}", offset=24)


def _piece(head: Head) -> tuple[int, int] | None:
    _, count = head.keys.get("split.count", (0, 0))
    _, index = head.keys.get("split.no", (0, 0))
    if not isinstance(count, int) or count < 2 or not isinstance(index, int):
        return None
    return index + 1, count


def piece(window: Window) -> tuple[int, int] | None:
    """Which piece of how many a file is, counted from 1; None for a whole one and for what is no GGUF file.

    Raises:
        OSError: the window does not give as much as the header takes.
    """
    try:
        return _piece(read_head(window)) if window.read(0, 4) == b"GGUF" else None
    except Damaged:
        return None


def places(window: Window) -> list[Place]:
    """Where each tensor's data lies; of a damaged file none.

    Raises:
        OSError: the window does not give as much as the header takes.
    """
    try:
        head = read_head(window)
        alignment = _alignment(head)
        start = head.end + -head.end % alignment
        return [
            Place(name, tensor.dtype, start + offset, start + offset + tensor.nbytes)
            for name, dims, number, offset in head.rows
            if (tensor := _tensor(name, dims, number, offset))
        ]
    except Damaged:
        return []


def _extra(window: Window, end: int, alignment: int) -> Fault | None:
    extra = window.size - end
    if extra <= alignment:
        return None
    if window.read(end, 4) == b"GGUF":
        return fault("two-files", f"a second GGUF file begins at {end:,}", offset=end)
    return fault("data-extra", f"{extra:,} bytes follow the last tensor", offset=end)
