"""The fast way through a header as the safetensors library writes it: one regular expression, no JSON tree."""

from __future__ import annotations

import re
from itertools import chain

from forgediag.formats.safetensors.dtypes import SIZES
from forgediag.formats.safetensors.layout import not_covered
from forgediag.formats.safetensors.refusal import Refused
from forgediag.formats.safetensors.strict import leading_metadata
from forgediag.model import Tensor

_ENTRY = re.compile(
    r'"([^"\\\x00-\x1f]*)":\{"dtype":"([A-Z0-9_]+)","shape":\[([0-9,]*)\],'
    r'"data_offsets":\[(0|[1-9][0-9]{0,18}),(0|[1-9][0-9]{0,18})\]\}(?:,|\}\Z)'
)
_SHAPE = re.compile(r"(?:0|[1-9][0-9]{0,18})(?:,(?:0|[1-9][0-9]{0,18}))*\Z")
_METADATA = '{"__metadata__":'
_USIZE_MAX = 2**64 - 1
_Row = tuple[str, str, str, str, str]
_FIXED = len('"":{"dtype":"","shape":[],"data_offsets":[,]},')
"""Characters of an entry that are the same in each, its comma or the last brace included."""


def read(text: str, room: int, start: int) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Metadata and tensors of a good header in the usual spelling; None for any other, which `strict` must judge.

    Args:
        text: the header.
        room: bytes behind it.
        start: where the data begins in the file.

    Raises:
        Refused: it is good, but the file has more or less data than it describes.
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
    if len("".join(chain.from_iterable(found))) + _FIXED * len(found) != len(text) - at or not text.endswith("}}"):
        return None
    placed = _tensors(found) or _tensors(sorted(found, key=_in_order))
    if placed is None or len(placed[0]) != len(found) or "__metadata__" in placed[0]:
        return None
    tensors, position = placed
    if position != room:
        raise Refused("MetadataIncompleteBuffer", not_covered(position, room, start))
    return metadata, tensors


def _tensors(found: list[_Row]) -> tuple[dict[str, Tensor], int] | None:
    """The tensors and the bytes they take; None where they do not follow one another as their shapes ask for.

    The library writes them in the order of their data, so that each offset is compared as it is written.
    """
    tensors: dict[str, Tensor] = {}
    known: dict[tuple[str, str], Tensor] = {}
    position, at = 0, "0"
    for name, dtype, written, begin, end in found:
        tensor = known.get((dtype, written))
        if tensor is None:
            tensor = _tensor(dtype, written)
            if tensor is None:
                return None
            known[dtype, written] = tensor
        position += tensor.nbytes
        if begin != at or end != str(position):
            return None
        tensors[name] = tensor
        at = end
    return tensors, position


def _in_order(row: _Row) -> tuple[int, int]:
    return int(row[3]), int(row[4])


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
