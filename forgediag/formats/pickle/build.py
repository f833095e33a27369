"""What calls of torch's own functions amount to: tensors by shape and dtype, dicts by their items."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from forgediag.formats.pickle import limits
from forgediag.formats.pickle.allowed import DTYPES, SIZES, STORAGES
from forgediag.formats.pickle.values import OPAQUE, Array, Global, Made, Pairs, Storage
from forgediag.model import Tensor

Arguments = tuple[object, ...]
_SIZE_END = 1 << 63


def construct(function: Global, arguments: Arguments) -> object:
    """The value a harmless call builds, as far as it matters here."""
    builder = _BUILDERS.get(function.name)
    return Made(function.full) if builder is None else builder(arguments)


def stored(identity: object) -> object | None:
    """The storage behind torch's persistent id, `("storage", class, key, location, elements, …)`."""
    if not isinstance(identity, tuple):
        return None
    fields = cast("Arguments", identity)
    if len(fields) < 5 or fields[0] not in ("storage", b"storage"):
        return None
    kind, key, numel = fields[1], fields[2], fields[4]
    dtype = STORAGES.get(kind.name) if isinstance(kind, Global) else None
    if dtype is None or not isinstance(numel, int) or numel < 0:
        return None
    return Storage(dtype, str(key) if isinstance(key, (str, int)) else "", numel)


def tensor_of(array: Array) -> Tensor:
    """A tensor as a header lists it."""
    size = SIZES.get(array.dtype, 1) * math.prod(array.shape)
    return Tensor(array.dtype, array.shape, size if not array.parts else sum(tensor_of(p).nbytes for p in array.parts))


def _tensor(arguments: Arguments) -> object:
    if len(arguments) < 4 or not isinstance(storage := arguments[0], Storage):
        return OPAQUE
    shape, stride, offset = sizes(arguments[2]), sizes(arguments[3]), arguments[1]
    if shape is None or stride is None or not isinstance(offset, int):
        return OPAQUE
    dtype = storage.dtype
    if len(arguments) > 6 and isinstance(kind := arguments[6], Global) and kind.name in DTYPES:
        dtype = DTYPES[kind.name]
    return Array(dtype, shape, stride, offset, storage)


def sizes(value: object) -> tuple[int, ...] | None:
    """A shape or stride; None for anything else."""
    if not isinstance(value, (tuple, list)):
        return None
    items = cast("Arguments", value)
    if len(items) > limits.DIMENSIONS:
        return None
    for item in items:
        if type(item) is not int or not 0 <= item < _SIZE_END:
            return None
    return tuple(cast("tuple[int, ...]", items))


def _first(arguments: Arguments) -> object:
    return arguments[0] if arguments else OPAQUE


def _dict(arguments: Arguments) -> object:
    made = Pairs()
    for given in arguments:
        if isinstance(given, Pairs):
            made.pairs.extend(given.pairs)
        elif isinstance(given, list):
            pairs = [sequence(item) for item in cast("list[object]", given)]
            made.pairs.extend((pair[0], pair[1]) for pair in pairs if len(pair) == 2)
    return made


def _sparse(arguments: Arguments) -> object:
    data = sequence(arguments[1]) if len(arguments) > 1 else ()
    parts = tuple(part for part in data if isinstance(part, Array))
    shape = sizes(data[len(parts)]) if 2 <= len(parts) < len(data) else None
    return OPAQUE if shape is None else Array(parts[-1].dtype, shape, parts=parts)


def _meta(arguments: Arguments) -> object:
    shape = sizes(arguments[1]) if len(arguments) > 1 else None
    kind = arguments[0] if arguments else None
    if shape is None or not isinstance(kind, Global) or kind.name not in DTYPES:
        return OPAQUE
    return Array(DTYPES[kind.name], shape)


def _again(arguments: Arguments) -> object:
    function, inner = arguments[0], arguments[2]
    if isinstance(function, Global) and isinstance(inner, tuple):
        return construct(function, cast("Arguments", inner))
    return OPAQUE


def sequence(value: object) -> tuple[object, ...]:
    """A tuple's or list's items; nothing for anything else."""
    return tuple(cast("Arguments", value)) if isinstance(value, (tuple, list)) else ()


_BUILDERS: dict[str, Callable[[Arguments], object]] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor,
    "_rebuild_qtensor": lambda arguments: _tensor(arguments[:4]),
    "_rebuild_parameter": _first,
    "_rebuild_parameter_with_state": _first,
    "_rebuild_sparse_tensor": _sparse,
    "_rebuild_meta_tensor_no_storage": _meta,
    "_rebuild_from_type_v2": _again,
    "OrderedDict": _dict,
    "Size": _first,
    "defaultdict": _dict,
}
