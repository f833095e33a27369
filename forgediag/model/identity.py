"""What a file's bytes amount to: the hashes it is known by, and what its numbers look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FP16_MAX = 65504.0
"""The largest finite number of IEEE half precision."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """One tensor's numbers. `largest` is the largest finite magnitude, 0.0 where all are zero or none is finite."""

    name: str
    dtype: str
    elements: int
    nan: int
    infinite: int
    largest: float

    @property
    def zero(self) -> bool:
        """Whether every element is zero (of either sign)."""
        return not (self.nan or self.infinite or self.largest)

    @property
    def overflows(self) -> bool:
        """Whether a cast to fp16 makes infinity of a number that is finite in the file."""
        return self.largest > FP16_MAX


@dataclass(frozen=True, slots=True)
class Content:
    """What the numbers of a file look like.

    `odd` are the tensors with NaN or Inf, with zeros only, or too large for fp16, in file order. `examined` counts
    tensors of floating-point types, `unexamined` the others by dtype (integers, quantised blocks). `zero_bytes` are
    the bytes in 64 KiB blocks of zeros only and `zero_run` is the longest row of them (offset, length). `whole` is
    False where only samples were read.
    """

    examined: int
    odd: tuple[Numbers, ...] = ()
    unexamined: Mapping[str, int] = field(default_factory=dict[str, int])
    zero_bytes: int = 0
    zero_run: tuple[int, int] | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Identity:
    """One file's identities, taken in one read. Hexadecimal in lower case; None where not asked for or not defined.

    `sha256` is the whole file's (its first 10 digits are AutoV2). `autov1` is the first 8 digits of the SHA-256 of the
    64 KiB at 1 MiB ("e3b0c442" when the file ends before them), which Forge prints as a checkpoint's hash. `autov3` is
    the SHA-256 of everything after a safetensors header; model sites show its first 12 digits. `fingerprint` is the
    SHA-256 of 64 pieces of 64 KiB spread evenly over the file (of all of it up to 4 MiB): it tells in milliseconds
    that a file is not the one it was, never that it is.
    """

    size: int
    sha256: str
    autov1: str | None = None
    autov3: str | None = None
    blake3: str | None = None
    crc32: str | None = None
    fingerprint: str | None = None
    content: Content | None = None
