"""What someone says a file's identity is, and whether its bytes agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IdentityKind = Literal["sha256", "autov1", "autov3", "blake3", "crc32", "git-blob"]

Trust = Literal[
    "published",  # by who offers the file: a model site, a hub, a list of known files
    "recorded",  # by us or by who wrote the file, of these very bytes
    "believed",  # by a tool that may not have looked again since the file changed
    "hint",  # by the file about itself, in a way that tools are known to get wrong
]


@dataclass(frozen=True, slots=True)
class Claim:
    """`source` says that the file's `kind` is `value` (hexadecimal, lower case; may be cut short as sites show it).

    `size` is what the source says of the file's size in bytes, `about` the file it speaks of where it speaks of more
    than one. `stale` says why the source cannot be meant about the file as it is now.
    """

    source: str
    kind: IdentityKind
    value: str
    trust: Trust
    size: int | None = None
    about: str | None = None
    stale: str | None = None


Agreement = Literal["agrees", "differs", "not comparable"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim beside the bytes. `why` is one line for a person, empty where the verdict says it all."""

    claim: Claim
    verdict: Agreement
    why: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the file is not what it should be: someone who ought to know says another identity."""
        return self.verdict == "differs" and self.claim.trust in {"published", "recorded"}
