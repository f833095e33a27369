"""The JSON of a safetensors header, judged as serde judges it for the safetensors library."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import NoReturn, cast

from forgediag.formats.faults import fault
from forgediag.formats.safetensors.dtypes import BITS
from forgediag.formats.safetensors.refusal import UNREAD, Entry, Refused, bad

_USIZE_MAX = 2**64 - 1
_DEPTH = 127  # serde_json refuses the 128th level
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Object(tuple[tuple[str, object], ...]):
    """A JSON object as its pairs, repeated keys included."""

    __slots__ = ()


def parse(text: str) -> tuple[dict[str, str], dict[str, Entry]]:
    """The metadata and the entries of a header.

    Raises:
        Refused: it is not what safetensors expects.
    """
    try:
        value = _decoder(text).decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        bad(f"the header is not valid JSON ({_first_line(error)})")
    if type(value) is not _Object:
        bad("the header is not a JSON object")
    metadata: dict[str, str] | None = None
    entries: dict[str, Entry] = {}
    for name, item in value:
        if name != "__metadata__":
            entries[name] = _entry(name, item)
        elif metadata is None:
            metadata = _metadata(item)
        else:
            bad("the header has __metadata__ twice")
    return metadata or {}, entries


def leading_metadata(text: str, at: int) -> tuple[dict[str, str], int]:
    """The metadata that is written at a place in a header, and where it ends.

    Raises:
        Refused: it is not text by text, or has escapes that need a second look.
    """
    try:
        value, end = _PLAIN.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        bad(f"the header is not valid JSON ({_first_line(error)})")
    if "\\u" in text[at:end]:
        bad("escaped characters need the strict reader")
    return _metadata(value), end


def _decoder(text: str) -> json.JSONDecoder:
    # serde reads -0 as a float, which is no size; Python reads it as the integer 0
    return _STRICT if "-0" in text else _PLAIN


def _integer(digits: str) -> float:
    return -0.0 if digits == "-0" else int(digits)


def _finite(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError("number out of range")
    return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_PLAIN = json.JSONDecoder(object_pairs_hook=_Object, parse_float=_finite, parse_constant=_no_constant)
_STRICT = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=_finite, parse_constant=_no_constant, parse_int=_integer
)


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if type(value) is not _Object:
        bad("__metadata__ is not a JSON object")
    if any(type(text) is not str for _, text in value):
        bad("__metadata__ holds a value that is not text")
    return cast("dict[str, str]", dict(value))


def _entry(name: str, value: object) -> Entry:
    dtype, shape, offsets = _fields(name, value)
    if type(dtype) is _Object:
        dtype = _variant(dtype)
    if type(dtype) is not str or dtype not in BITS:
        raise Refused(UNREAD, fault("dtype-unknown", f"tensor {name!r} has an unknown dtype: {dtype!r:.40}", offset=8))
    if type(shape) is not list or type(offsets) is not list:
        bad(f"shape or data_offsets of {name!r} is not a list")
    sizes, place = cast("list[int]", shape), cast("list[int]", offsets)
    for number in sizes:
        if type(number) is not int or not 0 <= number <= _USIZE_MAX:
            bad(f"the shape of {name!r} holds something that is no size")
    for number in place:
        if type(number) is not int or not 0 <= number <= _USIZE_MAX:
            bad(f"data_offsets of {name!r} holds something that is no position")
    if len(place) != 2:
        bad(f"data_offsets of {name!r} has {len(place)} numbers, not 2")
    return dtype, tuple(sizes), place[0], place[1]


def _fields(name: str, value: object) -> Sequence[object]:
    if type(value) is list:  # serde takes [dtype, shape, data_offsets] for the object
        items = cast("list[object]", value)
        if len(items) != 3:
            bad(f"the entry of {name!r} has {len(items)} items, not 3")
        return items
    if type(value) is not _Object:
        bad(f"the entry of {name!r} is not a JSON object")
    pairs = value
    if len(pairs) == 3:
        (first, dtype), (second, shape), (third, offsets) = pairs
        if first == "dtype" and second == "shape" and third == "data_offsets":
            return dtype, shape, offsets
    found = [[item for key, item in pairs if key == field] for field in ("dtype", "shape", "data_offsets")]
    if any(len(items) != 1 for items in found):
        bad(f"the entry of {name!r} lacks dtype, shape or data_offsets, or has one of them twice")
    for key, item in pairs:
        if key not in {"dtype", "shape", "data_offsets"}:
            _ignorable(item, 3)
    return [items[0] for items in found]


def _ignorable(value: object, level: int) -> None:
    if isinstance(value, (_Object, list)):
        if level > _DEPTH:
            bad("the header is nested too deeply")
        for item in cast("list[object]", value):
            _ignorable(item[1] if isinstance(value, _Object) else item, level + 1)  # type: ignore[index]  # a pair
    elif type(value) is int and value.bit_length() > 1024:
        bad("the header holds a number out of range")


def _variant(pairs: _Object) -> object:
    # serde spells a unit variant as "F32" or as {"F32": null}
    return pairs[0][0] if len(pairs) == 1 and pairs[0][1] is None else None


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:80]
