"""The fast way through a header as the safetensors library writes it: one regular expression, no JSON tree."""

from __future__ import annotations

import re

from forgediag.formats.safetensors.dtypes import SIZES
from forgediag.formats.safetensors.refusal import Refused
from forgediag.formats.safetensors.strict import leading_metadata
from forgediag.model import Tensor

_ENTRY = re.compile(
    r'("([^"\\\x00-\x1f]*)":\{"dtype":"([A-Z0-9_]+)","shape":\[([0-9,]*)\],'
    r'"data_offsets":\[(0|[1-9][0-9]{0,18}),(0|[1-9][0-9]{0,18})\]\}(?:,|\}\Z))'
)
_SHAPE = re.compile(r"(?:0|[1-9][0-9]{0,18})(?:,(?:0|[1-9][0-9]{0,18}))*\Z")
_METADATA = '{"__metadata__":'
_USIZE_MAX = 2**64 - 1


def read(text: str, room: int) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Metadata and tensors of a good header in the usual spelling; None for any other, which `strict` must judge.

    Args:
        text: the header.
        room: bytes behind it.
    """
    text = text.rstrip(" ")
    metadata: dict[str, str] = {}
    at = 1
    if text.startswith(_METADATA):
        try:
            metadata, at = leading_metadata(text, len(_METADATA))
        except Refused:
            return None
        if text[at : at + 1] != ",":
            return None
        at += 1
    elif text[:1] != "{":
        return None
    found = _ENTRY.findall(text, at)
    if sum([len(row[0]) for row in found]) != len(text) - at or not text.endswith("}}"):
        return None
    tensors = _tensors(found, room)
    if tensors is None or len(tensors) != len(found) or "__metadata__" in tensors:
        return None
    return metadata, tensors


def _tensors(found: list[tuple[str, str, str, str, str, str]], room: int) -> dict[str, Tensor] | None:
    tensors: dict[str, Tensor] = {}
    known: dict[tuple[str, str], Tensor] = {}
    rows = [(int(begin), int(end), name, dtype, shape) for _, name, dtype, shape, begin, end in found]
    rows.sort()
    position = 0
    for begin, end, name, dtype, written in rows:
        tensor = known.get((dtype, written))
        if tensor is None:
            tensor = _tensor(dtype, written)
            if tensor is None:
                return None
            known[dtype, written] = tensor
        if begin != position or tensor.nbytes != end - begin:
            return None
        tensors[name] = tensor
        position = end
    return tensors if position == room else None


def _tensor(dtype: str, written: str) -> Tensor | None:
    """A tensor by its dtype and shape as they are written; None where either is unusual."""
    size = SIZES.get(dtype)
    if size is None or (written and not _SHAPE.match(written)):
        return None
    shape = tuple(map(int, written.split(","))) if written else ()
    count = size
    for length in shape:
        count *= length
        if count > _USIZE_MAX:
            return None
    return Tensor(dtype, shape, count)
