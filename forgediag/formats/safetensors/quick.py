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

Shape = tuple[tuple[int, ...], int]
"""A shape and its number of elements."""


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
    shapes: dict[str, Shape | None] = {}
    rows = [(int(begin), int(end), name, dtype, shape) for _, name, dtype, shape, begin, end in found]
    rows.sort()
    position = 0
    for begin, end, name, dtype, written in rows:
        if written not in shapes:
            shapes[written] = _shape(written)
        shape = shapes[written]
        taken = end - begin
        if shape is None or begin != position or shape[1] * SIZES.get(dtype, 0) != taken or dtype not in SIZES:
            return None
        tensors[name] = Tensor(dtype, shape[0], taken)
        position = end
    return tensors if position == room else None


def _shape(text: str) -> Shape | None:
    if not text:
        return (), 1
    if not _SHAPE.match(text):
        return None
    sizes = tuple(map(int, text.split(",")))
    count = 1
    for size in sizes:
        count *= size
        if count > _USIZE_MAX:
            return None
    return sizes, count
