"""The classes and functions that real model files name: everything else is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from forgediag.formats.pickle.values import Global, Kind, Made

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "ComplexFloatStorage": "C64", "ComplexDoubleStorage": "C128", "QInt8Storage": "I8",
    "QUInt8Storage": "U8", "QInt32Storage": "I32", "UntypedStorage": "U8", "Float8_e4m3fnStorage": "F8_E4M3",
    "Float8_e5m2Storage": "F8_E5M2",
}  # fmt: skip
"""torch's storage classes and the dtype of their elements, spelled as safetensors does."""

DTYPES: Mapping[str, str] = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL", "complex64": "C64", "complex128": "C128",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
"""torch's dtypes."""

SIZES: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"), 1),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    "C128": 16,
}
"""Bytes an element takes."""

_CALLED = {
    "collections": ("OrderedDict", "defaultdict", "Counter"),
    "torch": ("Size", "device"),
    "torch._utils": (
        "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
        "_rebuild_parameter_with_state", "_rebuild_sparse_tensor", "_rebuild_qtensor",
        "_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_numpy",
    ),
    "torch._tensor": ("_rebuild_from_type_v2",),
    "torch.serialization": ("_get_layout",),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "_codecs": ("encode",),
    "argparse": ("Namespace",),
    "pathlib": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.nodes": ("AnyNode",),
}  # fmt: skip
_BUILTINS = ("set", "frozenset", "bytearray", "bytes", "complex", "slice", "object")

_NAMED = {
    "torch": (*DTYPES, "per_tensor_affine", "per_channel_affine", "Tensor", "qint8", "quint8", "qint32"),
    "torch.nn.parameter": ("Parameter",),
    "typing": ("Any",),
}
_NAMED_BUILTINS = ("int", "float", "str", "bool", "list", "dict", "tuple")

_KINDS: dict[tuple[str, str], Kind] = {
    **{(module, name): "call" for module, names in _CALLED.items() for name in names},
    **{(module, name): "call" for module in ("builtins", "__builtin__") for name in _BUILTINS},
    **{(module, name): "name" for module, names in _NAMED.items() for name in names},
    **{(module, name): "name" for module in ("builtins", "__builtin__") for name in _NAMED_BUILTINS},
    ("__builtin__", "long"): "name",
    ("__builtin__", "unicode"): "name",
    **{(module, name): "name" for module in ("torch", "torch.cuda", "torch.storage") for name in STORAGES},
    ("copyreg", "_reconstructor"): "call",
    ("copy_reg", "_reconstructor"): "call",
}

_STUBBED = re.compile(r"pytorch_lightning(\.[a-z_][a-z0-9_]*)*")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")


def kind(module: str, name: str) -> Kind:
    """How far a name may be used.

    A class of pytorch_lightning is an empty class to Forge's loader (Forge dfdcbab, backend/misc/checkpoint_pickle.py).
    """
    found = _KINDS.get((module, name))
    if found is None:
        return "stub" if _STUBBED.fullmatch(module) and _CLASS.fullmatch(name) else "unknown"
    return found


def harmless(function: Global, arguments: object) -> bool:
    """Whether a call of a listed function with these arguments does no more than build a value."""
    if function.kind != "call":
        return function.kind == "stub"
    if not isinstance(arguments, tuple):
        return False
    rule = _RULES.get(function.name)
    return rule is None or rule(cast("tuple[object, ...]", arguments))


def _encodes(arguments: tuple[object, ...]) -> bool:
    if len(arguments) != 2 or not isinstance(arguments[0], (str, Made)) or not isinstance(arguments[1], str):
        return False
    return arguments[1] in {"latin1", "latin-1", "utf-8"}


def _is_filled(arguments: tuple[object, ...]) -> bool:
    return not any(isinstance(argument, int) for argument in arguments)


def _reconstructs(arguments: tuple[object, ...]) -> bool:
    return all(not isinstance(argument, Global) or argument.kind in {"call", "name", "stub"} for argument in arguments)


def _rebuilds(arguments: tuple[object, ...]) -> bool:
    function = arguments[0] if len(arguments) == 4 else None
    return isinstance(function, Global) and function.module == "torch._utils" and function.kind == "call"


_RULES = {
    "encode": _encodes,
    "bytes": _is_filled,
    "bytearray": _is_filled,
    "_reconstructor": _reconstructs,
    "_rebuild_from_type_v2": _rebuilds,
}
