"""A file's identities for the terminal and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from forgediag.forge.claims import outcome
from forgediag.forge.families import describe
from forgediag.formats.gguf import SCALES
from forgediag.formats.model_file import format_of
from forgediag.model import Fault, Header
from forgediag.model.claim import Judged
from forgediag.model.identity import Content, Identity, Numbers

_EMPTY = "e3b0c442"
_MARKS = {"agrees": "=", "differs": "!", "not comparable": "?"}
_LISTED = 5
"""Odd tensors named on the terminal; JSON has them all."""


@dataclass(frozen=True)
class Hashed:
    """One file: its identity, its header (or what is wrong with it, or None where it could not be read), the claims.

    `trusted` is when it was read, in Unix seconds, if that was not now.
    """

    path: str
    identity: Identity
    header: Header | Fault | None
    judged: tuple[Judged, ...]
    trusted: float | None = None

    @cached_property
    def outcome(self) -> tuple[str, str]:
        """The verdict and why."""
        return outcome(self.judged)

    @property
    def family(self) -> str:
        """The model family its tensors say."""
        return describe(self.header)[0] if isinstance(self.header, Header) else "unknown"

    @property
    def bad(self) -> bool:
        """Whether it is not what it should be, cannot be loaded, or holds NaN or Inf."""
        content = self.identity.content
        wrong = content is not None and any(each.nan or each.infinite for each in content.odd)
        return wrong or isinstance(self.header, Fault) or self.outcome[0] == "differs"


def document(found: Sequence[Hashed]) -> dict[str, Any]:
    """`forgediag.hash/1`. Hashes in lower case, null where not taken or not defined."""
    return {"schema": "forgediag.hash/1", "files": [_row(each) for each in found]}


def _row(hashed: Hashed) -> dict[str, Any]:
    identity = hashed.identity
    verdict, why = hashed.outcome
    return {
        "path": hashed.path,
        "bytes": identity.size,
        "sha256": identity.sha256,
        "autov1": identity.autov1,
        "autov2": identity.sha256[:10],
        "autov3": None if identity.autov3 is None else identity.autov3[:12],
        "tensors_sha256": identity.autov3,
        "blake3": identity.blake3,
        "crc32": identity.crc32,
        "fingerprint": identity.fingerprint,
        "trusted_read": hashed.trusted,
        "format": format_of(hashed.path),
        "family": hashed.family,
        "fault": hashed.header.message if isinstance(hashed.header, Fault) else None,
        "verdict": verdict,
        "why": why,
        "claims": [_claim(each) for each in hashed.judged],
        "content": None if identity.content is None else _content(identity.content),
    }


def _claim(judged: Judged) -> dict[str, Any]:
    claim = judged.claim
    return {
        "source": claim.source,
        "kind": claim.kind,
        "value": claim.value,
        "trust": claim.trust,
        "bytes": claim.size,
        "about": claim.about,
        "verdict": judged.verdict,
        "why": judged.why,
    }


def _content(content: Content) -> dict[str, Any]:
    return {
        "whole": content.whole,
        "examined": content.examined,
        "unexamined": dict(content.unexamined),
        "zero_bytes": content.zero_bytes,
        "zero_run": content.zero_run,
        "odd": [
            {
                "name": each.name,
                "dtype": each.dtype,
                "elements": each.elements,
                "nan": each.nan,
                "inf": each.infinite,
                "largest": each.largest,
                "zero": each.zero,
                "overflows_fp16": each.overflows,
            }
            for each in content.odd
        ],
    }


def text(hashed: Hashed) -> str:
    """A paragraph for the terminal."""
    identity = hashed.identity
    lines = [f"{hashed.path}  {identity.size:,} bytes, {format_of(hashed.path)}, {hashed.family}"]
    lines += [f"  {name:<12}{value}" for name, value in _identities(identity)]
    if isinstance(hashed.header, Fault):
        lines.append(f"  {'damaged':<12}{hashed.header.message}")
    if hashed.trusted is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(hashed.trusted))
        lines.append(f"  {'read':<12}{when}; size, times and inode are as they were then (--full reads it again)")
    lines += [f"  {'content':<12}{line}" for line in _numbers(identity.content)]
    for judged in hashed.judged:
        claim = judged.claim
        why = f": {judged.why}" if judged.why else ""
        kind = f"{claim.kind} {claim.value[:12]}"
        lines.append(f"  {_MARKS[judged.verdict]} {claim.source}: {kind} {judged.verdict}{why}")
    verdict, why = hashed.outcome
    return "\n".join([*lines, f"  {'verdict':<12}{verdict}: {why}", ""])


def _identities(identity: Identity) -> Iterator[tuple[str, str]]:
    """As model sites and consoles show them: CivitAI in upper case."""
    yield "SHA256", identity.sha256
    yield "AutoV2", f"{identity.sha256[:10].upper()}  (Forge and A1111 show it in a title's brackets, in lower case)"
    if identity.autov3 is not None:
        yield "AutoV3", f"{identity.autov3[:12].upper()}  (the tensors only: the same after an edit of the metadata)"
    if identity.blake3 is not None:
        yield "BLAKE3", identity.blake3.upper()
    if identity.crc32 is not None:
        yield "CRC32", identity.crc32.upper()
    if identity.autov1 is not None:
        yield "AutoV1", f"{identity.autov1}  ({_console(identity)})"
    if identity.fingerprint is not None:
        yield "fingerprint", identity.fingerprint


def _console(identity: Identity) -> str:
    """What the short hash that Forge's console and API print is worth (Forge dfdcbab, modules/sd_models.py)."""
    if identity.autov1 == _EMPTY and identity.size <= 0x100000:
        return "Forge's `hash`: of no bytes at all, as of every file up to 1 MiB"
    return "Forge's `hash`: 64 KiB at 1 MiB; files that differ elsewhere share it"


def _numbers(content: Content | None) -> Iterator[str]:
    if content is None:
        return
    others = ", ".join(f"{count} {dtype}" for dtype, count in content.unexamined.items())
    yield f"{content.examined} tensors of floating-point numbers looked at" + (f"; not: {others}" if others else "")
    if content.zero_run is not None:
        offset, length = content.zero_run
        yield f"{content.zero_bytes:,} bytes in blocks of zeros; the longest run is {length:,} at {offset:,}"
    yield from (_odd(each) for each in content.odd[:_LISTED])
    if len(content.odd) > _LISTED:
        yield f"and {len(content.odd) - _LISTED} more tensors like these (--json names all)"


def _odd(numbers: Numbers) -> str:
    what = "numbers" if numbers.dtype.removeprefix("GGUF:") not in SCALES else "scales of its blocks"
    if numbers.nan or numbers.infinite:
        return f"{numbers.name}: {numbers.nan:,} NaN and {numbers.infinite:,} Inf of {numbers.elements:,} {what}"
    if numbers.zero:
        return f"{numbers.name}: all {numbers.elements:,} {what} are zero"
    return f"{numbers.name}: up to {numbers.largest:g}, more than fp16 holds (65504)"
