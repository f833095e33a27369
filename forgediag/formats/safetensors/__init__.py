"""The header of a safetensors file, judged by the rules of the version Forge pins and of the newest."""

from __future__ import annotations

from dataclasses import replace

from forgediag.formats.faults import fault
from forgediag.formats.impostor import SNIFF, recognise
from forgediag.formats.safetensors import quick
from forgediag.formats.safetensors.dtypes import SIZES
from forgediag.formats.safetensors.layout import place
from forgediag.formats.safetensors.refusal import Refused
from forgediag.formats.safetensors.strict import parse
from forgediag.formats.window import Window
from forgediag.model import Fault, Header, Tensor

__all__ = ["CAP", "SIZES", "read"]

CAP = 100_000_000
"""The longest header safetensors accepts, in bytes (safetensors 0.4.2 and 0.8.0)."""

_FIRST = 4096
"""Bytes of the first read: enough to recognise an impostor and for the header of a small file."""


def read(window: Window) -> Header | Fault:
    """The header of a file, or why Forge cannot load it.

    Returns:
        A header whose tensors are in the order of their data, or a fault whose `forge_says` is what safetensors 0.4.2
        prints for the file (observed with that version). The newest safetensors (0.8.0) refuses a file exactly when
        this is a fault other than "dtype-newer-than-forge".

    Raises:
        OSError: the window does not give as much as the header takes.
    """
    head = window.read(0, min(window.size, _FIRST))
    try:
        length = _length(head, window.size)
        raw = (
            head[8 : 8 + length]
            if 8 + length <= len(head)
            else head[8:] + window.read(len(head), 8 + length - len(head))
        )
        if len(raw) < length:
            raise OSError("became shorter while it was read")
        metadata, tensors = _judge(raw, window.size - 8 - length)
    except Refused as refused:
        other = recognise(head[:SNIFF], window.size) if refused.fault.id.startswith("header-") else None
        if refused.fault.id == "data-extra":
            other = _second(window, refused.fault.offset or 0)
        return replace(other, forge_says=refused.fault.forge_says) if other else refused.fault
    return Header("safetensors", tensors, metadata)


def _second(window: Window, end: int) -> Fault | None:
    """Whether what follows the last tensor is another file."""
    head = window.read(end, SNIFF)
    length = int.from_bytes(head[:8], "little")
    if head[8:10] == b'{"' and 2 <= length <= window.size - end - 8:
        return fault("two-files", f"a second safetensors file begins at {end:,}", offset=end)
    return None


def _length(head: bytes, size: int) -> int:
    if size < 8:
        raise Refused(
            "HeaderTooSmall", fault("header-missing", f"the file has only {size} bytes, too few for a header", offset=0)
        )
    length = int.from_bytes(head[:8], "little")
    if length > CAP:
        message = (
            f"the file claims a header of {length:,} bytes; the format allows {CAP:,}: this is no safetensors file"
        )
        raise Refused("HeaderTooLarge", fault("header-too-large", message, offset=0))
    if 8 + length > size:
        message = f"the file is cut inside its header: {8 + length:,} bytes of header, {size:,} bytes there"
        raise Refused("InvalidHeaderLength", fault("header-cut", message, offset=size))
    return length


def _judge(raw: bytes, room: int) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        refused = fault("header-encoding", "the header is not UTF-8 text", offset=8 + error.start)
        raise Refused("InvalidHeader", refused) from error
    if (found := quick.read(text, room, 8 + len(raw))) is not None:
        return found
    metadata, entries = parse(text)
    return metadata, place(entries, room, 8 + len(raw))
