"""Published model files by their SHA-256, and whether a file is one of them, damaged or something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from forgediag.forge.selection import base_name

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A published file. `size` in bytes, None where no public source states it; `sources` published the hash."""

    names: tuple[str, ...]
    size: int | None
    sha256: str
    repository: str
    confidence: Confidence
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file's name, size and hash amount to.

    "official": the hash is a published one (`known` says whose). "mismatch": name and size are those of the files
    in `known`, the hash is none of theirs. "unlisted": nothing can be said.
    """

    verdict: Literal["official", "mismatch", "unlisted"]
    known: tuple[KnownFile, ...] = ()


# Every fine-tuned VAE in diffusers' layout has this name, and often the very same size.
_SAYS_NOTHING = ("diffusion_pytorch_model", "model.")


def identify(name: str, size: int, sha256: str) -> Identity:
    """Compare a file with the published ones.

    A hash decides alone. A mismatch is claimed only where name and size are those of a published file whose hash
    two or more public tables state: a wrong diagnosis is worse than none. Two published files may share a size
    (sd_xl_base_1.0 and sd_xl_base_1.0_0.9vae do), so the hash must differ from every one of them.
    """
    by_hash = known_files()
    if known := by_hash.get(sha256.lower()):
        return Identity("official", (known,))
    base = base_name(name).lower()
    if base.startswith(_SAYS_NOTHING):
        return Identity("unlisted")
    alike = tuple(known for known in by_hash.values() if base in known.names and known.size == size)
    if any(known.confidence != "low" for known in alike):
        return Identity("mismatch", alike)
    return Identity("unlisted")


@cache
def known_files() -> Mapping[str, KnownFile]:
    """The published files by SHA-256, from the table inside the package."""
    table = json.loads(files("forgediag.forge").joinpath("known_files.json").read_bytes())
    return {
        row["sha256"]: KnownFile(
            names=tuple(name.lower() for name in row["names"]),
            size=row["bytes"],
            sha256=row["sha256"],
            repository=row["repository"],
            confidence=row["confidence"],
            sources=tuple(table["sources"][source] for source in row["sources"]),
        )
        for row in table["files"]
    }
