"""Pickle files as torch.save writes them, put together opcode by opcode: no torch, and nothing is ever executed."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The opcode and number torch's files of before 1.6 begin with."""

_STORAGES = {
    "F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "BF16": ("BFloat16Storage", 2), "F64": ("DoubleStorage", 8),
    "I64": ("LongStorage", 8), "I32": ("IntStorage", 4), "I16": ("ShortStorage", 2), "U8": ("ByteStorage", 1),
    "BOOL": ("BoolStorage", 1), "F8_E4M3": ("Float8_e4m3fnStorage", 1), "F8_E5M2": ("Float8_e5m2Storage", 1),
    "I8": ("CharStorage", 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Code:
    """Opcodes that leave one value, as they are."""

    opcodes: bytes


@dataclass(frozen=True, slots=True)
class Reduce:
    """A function called with these arguments, weights among them."""

    function: bytes
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor with a storage of its own; `share` names another one's storage key. Strides are those of a whole one."""

    dtype: str
    shape: tuple[int, ...]
    share: str | None = None
    offset: int = 0
    parameter: bool = False


@dataclass(slots=True)
class Storages:
    """The storages of one file: data by key. Old files have a sixth field for views in a persistent id."""

    old: bool = False
    data: dict[str, bytes] = field(default_factory=dict[str, bytes])
    elements: dict[str, int] = field(default_factory=dict[str, int])


def reach(module: str, name: str) -> bytes:
    """GLOBAL: a class or function by name."""
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def call(function: bytes, *arguments: object) -> bytes:
    """REDUCE: the function with these arguments."""
    return function + value(arguments) + b"R"


def value(item: object, storages: Storages | None = None) -> bytes:
    """Opcodes that leave this value: plain Python values, `Code`, `Reduce` and `Weight` within each other."""
    if isinstance(item, Code):
        return item.opcodes
    if isinstance(item, Reduce):
        return item.function + value(item.arguments, storages) + b"R"
    if isinstance(item, Weight):
        return _weight(item, Storages() if storages is None else storages)
    if isinstance(item, (Mapping, list, tuple)):
        return _container(cast("object", item), storages)
    return _plain(item)


def _container(item: object, storages: Storages | None) -> bytes:
    if isinstance(item, Mapping):
        pairs = cast("Mapping[object, object]", item).items()
        return b"}(" + b"".join(value(k, storages) + value(v, storages) for k, v in pairs) + b"u"
    held = b"".join(value(one, storages) for one in cast("Sequence[object]", item))
    return b"](" + held + b"e" if isinstance(item, list) else b"(" + held + b"t"


def _plain(item: object) -> bytes:
    if item is None or isinstance(item, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[item]
    if isinstance(item, int):
        raw = item.to_bytes(item.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw
    if isinstance(item, float):
        return b"G" + struct.pack(">d", item)
    if isinstance(item, str):
        return text(item)
    if isinstance(item, bytes):
        return b"B" + struct.pack("<I", len(item)) + item
    raise TypeError(f"no opcodes for a {type(item).__name__}")


def ordered(items: Mapping[str, object], storages: Storages) -> Code:
    """An OrderedDict with a state dict's `_metadata` attribute, as Module.state_dict gives."""
    made = reach("collections", "OrderedDict") + b")R"
    pairs = b"(" + b"".join(value(k) + value(v, storages) for k, v in items.items()) + b"u"
    return Code(made + pairs + value({"_metadata": {"": {"version": 1}}}) + b"b")


def _weight(weight: Weight, storages: Storages) -> bytes:
    kind, size = _STORAGES[weight.dtype]
    count = math.prod(weight.shape)
    key = weight.share if weight.share is not None else str(len(storages.data))
    storages.data.setdefault(key, bytes(count * size))
    whole = storages.elements.setdefault(key, count)
    fields = ("storage", Code(reach("torch", kind)), key, "cpu", whole, *((None,) if storages.old else ()))
    identity = value(fields) + b"Q"
    stride = tuple(math.prod(weight.shape[i + 1 :]) for i in range(len(weight.shape)))
    hooks = Code(reach("collections", "OrderedDict") + b")R")
    build = reach("torch._utils", "_rebuild_tensor_v2")
    made = call(build, Code(identity), weight.offset, weight.shape, stride, False, hooks)  # noqa: FBT003
    if weight.parameter:
        made = call(reach("torch._utils", "_rebuild_parameter"), Code(made), True, hooks)  # noqa: FBT003
    return made


def torch_zip(item: object, *, root: str = "archive", deflated: bool = False) -> bytes:
    """A file as torch.save writes it since 1.6."""
    storages = Storages()
    return packed(b"\x80\x02" + value(item, storages) + b".", storages, root=root, deflated=deflated)


def packed(
    pickle: bytes,
    storages: Storages | None = None,
    *,
    root: str = "archive",
    deflated: bool = False,
    extra: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """A zip archive with this `data.pkl`, the storages' data and the records in `extra`, duplicates allowed."""
    records = [("data.pkl", pickle), ("byteorder", b"little")]
    records += [(f"data/{key}", data) for key, data in (storages or Storages()).data.items()]
    return zipped(
        [(f"{root}/{name}", data) for name, data in (*records, ("version", b"3\n"), *extra)], deflated=deflated
    )


def zipped(records: Sequence[tuple[str, bytes]], *, deflated: bool = False) -> bytes:
    """A zip archive with these records, duplicates allowed."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)
        for name, data in records:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def torch_legacy(item: object) -> bytes:
    """A file as torch.save wrote it before 1.6."""
    storages = Storages(old=True)
    return streams(b"\x80\x02" + value(item, storages) + b".", storages)


def streams(main: bytes, storages: Storages | None = None, **others: bytes) -> bytes:
    """The five pickles of an old file and the storages' data; `magic`, `protocol`, `system`, `keys` replace theirs."""
    held = storages or Storages(old=True)
    usual = {
        "magic": b"\x80\x02" + MAGIC + b".",
        "protocol": b"\x80\x02M\xe9\x03.",
        "system": b"\x80\x02" + value({"protocol_version": 1001, "little_endian": True}) + b".",
        "main": main,
        "keys": b"\x80\x02" + value(list(held.data)) + b".",
    }
    data = b"".join(struct.pack("<q", held.elements[key]) + raw for key, raw in held.data.items())
    return b"".join((usual | others).values()) + data
