"""What a file's bytes amount to: the hashes it is known by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """One file's identities, taken in one read. Hexadecimal in lower case; None where not asked for or not defined.

    `sha256` is the whole file's (its first 10 digits are AutoV2). `autov1` is the first 8 digits of the SHA-256 of the
    64 KiB at 1 MiB ("e3b0c442" when the file ends before them), which Forge prints as a checkpoint's hash. `autov3` is
    the SHA-256 of everything after a safetensors header; model sites show its first 12 digits.
    """

    size: int
    sha256: str
    autov1: str | None = None
    autov3: str | None = None
    blake3: str | None = None
    crc32: str | None = None
