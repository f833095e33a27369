"""Tensors of a safetensors file as fp32 arrays, each read when its layer runs and dropped after it."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (numpy's stubs leave `reshape` and `view` partly unknown)

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
Place: TypeAlias = tuple[str, tuple[int, ...], int, int]
"""Where a tensor lies: dtype as the file spells it, shape, offset and length in bytes."""

PLAIN: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "u1",
}
"""Dtypes numpy has. Forge copies a VAE's tensors into its own module whatever their dtype, whole numbers too."""


class Weights:
    """The tensors of one file; `with Weights(...) as weights: weights("decoder.conv_in.weight")`."""

    def __init__(self, path: str, places: Mapping[str, Place]) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed by __exit__
        self._places = places
        self._tables: dict[str, Array] = {}

    def __enter__(self) -> Weights:
        """The tensors, while the file is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._places

    def __call__(self, name: str) -> Array:
        """One tensor in its shape.

        Raises:
            KeyError: there is none of this name.
            OSError: the file cannot be read, or ends too early.
        """
        dtype, shape, offset, length = self._places[name]
        raw = bytearray(length)
        self._file.seek(offset)
        if self._file.readinto(raw) != length:
            raise OSError(f"the file ends inside {name}")
        return self._converted(dtype, raw).reshape(shape)

    def _converted(self, dtype: str, raw: bytearray) -> Array:
        if dtype in PLAIN:
            return np.frombuffer(raw, PLAIN[dtype]).astype(np.float32, copy=False)
        if dtype == "BF16":
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        if dtype not in self._tables:
            self._tables[dtype] = _table(dtype)
        return self._tables[dtype][np.frombuffer(raw, np.uint8)]


def _table(dtype: str) -> Array:
    """The 256 values of an 8-bit float: E5M2 is the upper half of an fp16, E4M3 has no infinity and one NaN."""
    codes = np.arange(256, dtype=np.uint16)
    if dtype == "F8_E5M2":
        return (codes << 8).view(np.float16).astype(np.float32)
    if dtype != "F8_E4M3":
        raise ValueError(f"dtype {dtype} is not known here")
    sign = np.where(codes & 0x80, -1.0, 1.0)
    exponent, mantissa = ((codes >> 3) & 15).astype(np.float64), (codes & 7).astype(np.float64)
    normal: Any = (1 + mantissa / 8) * np.exp2(exponent - 7)
    values = sign * np.where(exponent == 0, mantissa / 8 * 2.0**-6, normal)
    values[(codes & 0x7F) == 0x7F] = np.nan
    return values.astype(np.float32)
