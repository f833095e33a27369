"""GGUF files: header bytes in, tensor names, types and shapes out."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from forgediag.model import Header, Tensor

_TYPES = [
    "F32",
    "F16",
    "Q4_0",
    "Q4_1",
    "-",
    "-",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q8_1",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "Q8_K",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ3_XXS",
    "IQ1_S",
    "IQ4_NL",
    "IQ3_S",
    "IQ2_S",
    "IQ4_XS",
    "I8",
    "I16",
    "I32",
    "I64",
    "F64",
    "IQ1_M",
    "BF16",
    "Q4_0_4_4",
    "Q4_0_4_8",
    "Q4_0_8_8",
    "TQ1_0",
    "TQ2_0",
    "-",
    "-",
    "-",
    "MXFP4",
]
"""Names of the tensor types by number; "-" was never used or is gone."""

BLOCKS = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "F64": (1, 8), "I8": (1, 1), "I16": (1, 2), "I32": (1, 4),
    "I64": (1, 8), "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q8_1": (32, 40), "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "Q8_K": (256, 292), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ3_XXS": (256, 98),
    "IQ1_S": (256, 50), "IQ4_NL": (32, 18), "IQ3_S": (256, 110), "IQ2_S": (256, 82), "IQ4_XS": (256, 136),
    "IQ1_M": (256, 56), "Q4_0_4_4": (32, 18), "Q4_0_4_8": (32, 18), "Q4_0_8_8": (32, 18), "TQ1_0": (256, 54),
    "TQ2_0": (256, 66), "MXFP4": (32, 17),
}  # fmt: skip
"""(elements, bytes) of one block by type."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LIMIT = 1 << 20
"""No real file has a million tensors, keys or dimensions: a larger count is damage."""


class GgufError(ValueError):
    """A header that cannot be read: one line that says why. `short` tells that more bytes could help."""

    def __init__(self, reason: str, *, short: bool = False) -> None:
        super().__init__(reason)
        self.short = short


def read_gguf(data: bytes | memoryview) -> Header:
    """The header of a GGUF file (version 2 or 3) from its first bytes.

    Shapes are in torch's order, the file's reversed; `nbytes` follows from type and shape. Metadata holds the strings.

    Raises:
        GgufError: not GGUF, a version or type that does not exist, or a header that ends early (`short`).
    """
    cursor = _Cursor(memoryview(data))
    if bytes(cursor.take(4)) != b"GGUF":
        raise GgufError("not a GGUF file: it does not begin with GGUF")
    version = cursor.scalar("I")
    if version not in {2, 3}:
        raise GgufError(f"GGUF version {version} is not known (2 and 3 are)")
    tensors, keys = cursor.count(), cursor.count()
    metadata: dict[str, str] = {}
    for _ in range(keys):
        name = cursor.string()
        value = cursor.value(cursor.scalar("I"))
        if value is not None:
            metadata[name] = value
    return Header("gguf", dict(cursor.tensor() for _ in range(tensors)), metadata)


@dataclass(slots=True)
class _Cursor:
    data: memoryview
    at: int = 0

    def take(self, count: int) -> memoryview:
        end = self.at + count
        if end > len(self.data):
            raise GgufError(f"the header ends early: {end} bytes are needed, {len(self.data)} are there", short=True)
        piece, self.at = self.data[self.at : end], end
        return piece

    def scalar(self, code: str) -> int:
        size = struct.calcsize(f"<{code}")
        return int(struct.unpack(f"<{code}", self.take(size))[0])

    def count(self) -> int:
        number = self.scalar("Q")
        if number > _LIMIT:
            raise GgufError(f"a count of {number} cannot be right: the file is damaged")
        return number

    def string(self) -> str:
        return bytes(self.take(self.count())).decode("utf-8", "replace")

    def value(self, kind: int) -> str | None:
        """A metadata value: strings as they are, everything else skipped."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, length = self.scalar("I"), self.scalar("Q")
            if inner in _SCALARS:
                self.take(struct.calcsize(f"<{_SCALARS[inner]}") * length)
            else:
                for _ in range(length):
                    self.value(inner)
            return None
        if kind not in _SCALARS:
            raise GgufError(f"metadata type {kind} does not exist: the file is damaged")
        self.take(struct.calcsize(f"<{_SCALARS[kind]}"))
        return None

    def tensor(self) -> tuple[str, Tensor]:
        name = self.string()
        dimensions = self.scalar("I")
        if dimensions > 8:
            raise GgufError(f"tensor {name} with {dimensions} dimensions: the file is damaged")
        shape = tuple(reversed([self.scalar("Q") for _ in range(dimensions)]))
        number = self.scalar("I")
        self.take(8)
        kind = _TYPES[number] if number < len(_TYPES) else "-"
        if kind not in BLOCKS:
            raise GgufError(f"tensor {name} has type {number}, which does not exist")
        block, size = BLOCKS[kind]
        count = 1
        for length in shape:
            count *= length
        return name, Tensor(f"GGUF:{kind}", shape, -(-count // block) * size)
