"""The header of a safetensors file, judged by the rules of the version Forge pins."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn, cast

from forgediag.formats.impostor import AGAIN, SNIFF, recognise
from forgediag.model import Fault, Header, Tensor

CAP = 100_000_000
"""The longest header safetensors accepts, in bytes (safetensors 0.4.2)."""

SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("F64", "I64", "U64"), 8),
}
"""Bytes an element of each dtype takes that safetensors 0.4.2, the version Forge pins, knows."""

NEWER = frozenset(("F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"))
"""Dtypes that safetensors 0.8.0 reads and 0.4.2 takes for a broken header."""

_USIZE_MAX = 2**64 - 1
_DEPTH = 127  # serde_json refuses the 128th level
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PRINTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}

_Entry = tuple[str, tuple[int, ...], int, int]


class _Refused(Exception):  # noqa: N818 - not an error of ours: a verdict on its way up
    """Why safetensors refuses a file: the name it prints and a fault that explains it."""

    def __init__(self, printed: str, fault: Fault) -> None:
        super().__init__(printed)
        says = f"Error while deserializing header: {printed}"
        self.fault = replace(fault, forge_says=says)


class _Object(tuple[tuple[str, object], ...]):
    """A JSON object as its pairs, repeated keys included."""

    __slots__ = ()


def needed(first: bytes, size: int) -> int:
    """How many bytes from the start `read` wants to see, given the first 8 or more and the file's size."""
    length = int.from_bytes(first[:8], "little")
    if size < 8 or length > CAP or 8 + length > size:
        return min(size, SNIFF)
    return 8 + length


def read(head: bytes, size: int) -> Header | Fault:
    """The header of a file of `size` bytes, or why Forge cannot load it.

    Args:
        head: the first `needed(...)` bytes of the file.
        size: the file's size in bytes.

    Returns:
        A header whose tensors are in the order of their data, or a fault whose `forge_says` is what
        safetensors 0.4.2 prints for the file (observed with that version on 121 good and bad files).

    Raises:
        ValueError: `head` is shorter than `needed` says.
    """
    if len(head) < (want := needed(head, size)):
        raise ValueError(f"the first {want} bytes are needed to judge this file, only {len(head)} are given")
    try:
        length = _length(head, size)
        metadata, entries = _parse(head[8 : 8 + length])
        tensors = _place(entries, size - 8 - length)
    except _Refused as refused:
        fault = refused.fault
        other = recognise(head, size) if fault.id.startswith("header-") else None
        return replace(other, forge_says=fault.forge_says) if other else fault
    return Header("safetensors", tensors, metadata)


def _length(head: bytes, size: int) -> int:
    if size < 8:
        fault = Fault("header-missing", f"the file has only {size} bytes, too few for a header", AGAIN)
        raise _Refused("HeaderTooSmall", fault)
    length = int.from_bytes(head[:8], "little")
    if length > CAP:
        message = (
            f"the file claims a header of {length:,} bytes; the format allows {CAP:,}: this is no safetensors file"
        )
        raise _Refused("HeaderTooLarge", Fault("header-too-large", message, AGAIN, offset=0))
    if 8 + length > size:
        message = f"the file is cut inside its header: {8 + length:,} bytes of header, {size:,} bytes there"
        raise _Refused("InvalidHeaderLength", Fault("header-cut", message, AGAIN, offset=size))
    return length


def _parse(raw: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = Fault("header-encoding", "the header is not UTF-8 text", AGAIN, offset=8 + error.start)
        raise _Refused("InvalidHeader", fault) from error
    try:
        value = _decoder(text).decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        _bad(f"the header is not valid JSON ({_first_line(error)})")
    if type(value) is not _Object:
        _bad("the header is not a JSON object")
    metadata: dict[str, str] | None = None
    entries: dict[str, _Entry] = {}
    for name, item in value:
        if name != "__metadata__":
            entries[name] = _entry(name, item)
        elif metadata is None:
            metadata = _metadata(item)
        else:
            _bad("the header has __metadata__ twice")
    return metadata or {}, entries


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
        _bad("__metadata__ is not a JSON object")
    if any(type(text) is not str for _, text in value):
        _bad("__metadata__ holds a value that is not text")
    return cast("dict[str, str]", dict(value))


def _entry(name: str, value: object) -> _Entry:
    dtype, shape, offsets = _fields(name, value)
    if type(dtype) is _Object:
        dtype = _variant(dtype)
    if type(dtype) is not str or dtype not in SIZES:
        _bad_dtype(name, dtype)
    if type(shape) is not list or type(offsets) is not list:
        _bad(f"shape or data_offsets of {name!r} is not a list")
    sizes, place = cast("list[int]", shape), cast("list[int]", offsets)
    for number in sizes:
        if type(number) is not int or not 0 <= number <= _USIZE_MAX:
            _bad(f"the shape of {name!r} holds something that is no size")
    for number in place:
        if type(number) is not int or not 0 <= number <= _USIZE_MAX:
            _bad(f"data_offsets of {name!r} holds something that is no position")
    if len(place) != 2:
        _bad(f"data_offsets of {name!r} has {len(place)} numbers, not 2")
    return dtype, tuple(sizes), place[0], place[1]


def _fields(name: str, value: object) -> Sequence[object]:
    if type(value) is list:  # serde takes [dtype, shape, data_offsets] for the object
        items = cast("list[object]", value)
        if len(items) != 3:
            _bad(f"the entry of {name!r} has {len(items)} items, not 3")
        return items
    if type(value) is not _Object:
        _bad(f"the entry of {name!r} is not a JSON object")
    pairs = value
    if len(pairs) == 3:
        (first, dtype), (second, shape), (third, offsets) = pairs
        if first == "dtype" and second == "shape" and third == "data_offsets":
            return dtype, shape, offsets
    found = [[item for key, item in pairs if key == field] for field in ("dtype", "shape", "data_offsets")]
    if any(len(items) != 1 for items in found):
        _bad(f"the entry of {name!r} lacks dtype, shape or data_offsets, or has one of them twice")
    for key, item in pairs:
        if key not in {"dtype", "shape", "data_offsets"}:
            _ignorable(item, 3)
    return [items[0] for items in found]


def _ignorable(value: object, level: int) -> None:
    if isinstance(value, (_Object, list)):
        if level > _DEPTH:
            _bad("the header is nested too deeply")
        for item in cast("list[object]", value):
            _ignorable(item[1] if isinstance(value, _Object) else item, level + 1)  # type: ignore[index]  # a pair
    elif type(value) is int and value.bit_length() > 1024:
        _bad("the header holds a number out of range")


def _variant(pairs: _Object) -> object:
    # serde spells a unit variant as "F32" or as {"F32": null}
    return pairs[0][0] if len(pairs) == 1 and pairs[0][1] is None else None


def _bad_dtype(name: str, dtype: object) -> NoReturn:
    if isinstance(dtype, str) and dtype in NEWER:
        raise _Refused(
            "InvalidHeaderDeserialization",
            Fault(
                "dtype-newer-than-forge",
                f"tensor {name!r} has dtype {dtype}, which the safetensors 0.4.2 that Forge pins cannot read",
                (
                    "Use another variant of this model (fp16, bf16 or fp8_e4m3fn).",
                    "Or a fork with a newer safetensors; a plain `pip install -U safetensors` is undone by Forge.",
                ),
            ),
        )
    _bad(f"tensor {name!r} has an unknown dtype")


def _place(entries: dict[str, _Entry], room: int) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    position = 0
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != position or end < begin:
            message = f"tensor {name!r} lies at {begin:,} to {end:,}, but the data before it ends at {position:,}"
            raise _Refused(f"InvalidOffset({_debug(name)})", Fault("tensor-offsets", message, AGAIN))
        position = end
        tensors[name] = Tensor(dtype, shape, _bytes(name, dtype, shape, end - begin))
    if position != room:
        raise _Refused("MetadataIncompleteBuffer", _not_covered(position, room))
    return tensors


def _bytes(name: str, dtype: str, shape: tuple[int, ...], room: int) -> int:
    taken = 1
    for size in (*shape, SIZES[dtype]):
        taken *= size
        if taken > _USIZE_MAX:
            fault = Fault("tensor-size", f"the shape of tensor {name!r} is impossibly large", AGAIN)
            raise _Refused("ValidationOverflow", fault)
    if taken != room:
        message = f"tensor {name!r} needs {taken:,} bytes by its shape and dtype but has {room:,}"
        raise _Refused("TensorInvalidInfo", Fault("tensor-size", message, AGAIN))
    return room


def _not_covered(described: int, room: int) -> Fault:
    if described > room:
        share = room / described
        message = f"the file is cut: {described:,} bytes of weights belong in it, {room:,} are there ({share:.1%})"
        return Fault("data-cut", message, AGAIN)
    extra = room - described
    return Fault("data-extra", f"{extra:,} bytes follow the last tensor that the header does not describe", AGAIN)


def _bad(message: str) -> NoReturn:
    raise _Refused("InvalidHeaderDeserialization", Fault("header-json", message, AGAIN, offset=8))


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:80]


def _debug(name: str) -> str:
    """A string as Rust's `{:?}` prints it."""
    return '"' + "".join(_PRINTED.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in name) + '"'
