"""What others say a file's identity is, against its bytes: agrees, differs, or says nothing about this file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forgediag.forge import known_files
from forgediag.model.claim import Claim, Judged
from forgediag.model.identity import Identity

_PROOF = frozenset({"sha256", "blake3", "autov3"})
_SHORTEST = 8


def judge(name: str, identity: Identity, claims: Sequence[Claim]) -> tuple[Judged, ...]:
    """A verdict on each claim, the list of published files included.

    A source may speak of several files, of a file before its header was edited, or of one that has changed since:
    none of that is called a difference. A wrong diagnosis is worse than none.
    """
    every = (*claims, *_published(name, identity))
    proven = {claim.source: claim for claim in every if claim.kind in _PROOF and _equal(identity, claim)}
    return tuple(_judged(identity, claim, proven.get(claim.source)) for claim in every)


def outcome(judged: Sequence[Judged]) -> tuple[str, str]:
    """The one word for a file, and why: "genuine", "differs", "as recorded" or "unknown".

    Genuine is a file whose bytes are those that somebody published; as recorded, one that nobody but the file itself
    or a tool on this machine vouches for.
    """
    agreeing = [each.claim for each in judged if each.verdict == "agrees" and each.claim.kind in _PROOF]
    published = [claim for claim in agreeing if claim.trust == "published"]
    wrong = [each for each in judged if each.wrong]
    if wrong and not published:
        return "differs", wrong[0].why
    if published:
        also = f"; but {wrong[0].claim.source} speaks of another file" if wrong else ""
        return "genuine", f"as published: {published[0].source}{also}"
    if agreeing:
        return "as recorded", f"agrees with {agreeing[0].source}; nothing published was found here"
    return "unknown", "nothing on this machine says what it should be"


def _published(name: str, identity: Identity) -> Iterator[Claim]:
    found = known_files.identify(name, identity.size, identity.sha256)
    for known in found.known:
        source = f"published files: {known.names[0]} of {known.repository}"
        yield Claim(source, "sha256", known.sha256, "published", size=known.size)


def _judged(identity: Identity, claim: Claim, proven: Claim | None) -> Judged:
    if (silent := _says_nothing(identity, claim)) is not None:
        return Judged(claim, "not comparable", silent)
    if _equal(identity, claim):
        return Judged(claim, "agrees", "covers 64 KiB of the file only" if claim.kind == "autov1" else "")
    if proven is not None:
        return Judged(claim, "not comparable", _otherwise(proven))
    if claim.trust == "hint":
        return Judged(claim, "not comparable", "tools write this hash before they edit the file, or of other bytes")
    return Judged(claim, "differs", _difference(identity, claim))


def _says_nothing(identity: Identity, claim: Claim) -> str | None:
    if claim.stale is not None:
        return claim.stale
    if _ours(identity, claim) is None:
        return f"this file's {claim.kind} was not taken or is not defined"
    return "too short to tell files apart" if len(claim.value) < _SHORTEST else None


def _equal(identity: Identity, claim: Claim) -> bool:
    ours = _ours(identity, claim)
    return ours is not None and ours.startswith(claim.value) and _says_nothing(identity, claim) is None


def _ours(identity: Identity, claim: Claim) -> str | None:
    return {
        "sha256": identity.sha256,
        "autov1": identity.autov1,
        "autov3": identity.autov3,
        "blake3": identity.blake3,
        "crc32": identity.crc32,
    }.get(claim.kind)


def _otherwise(proven: Claim) -> str:
    if proven.kind == "autov3":
        return "the tensors are those of this source; only the header was edited since"
    return "the same source also knows this very file: this is another one"


def _difference(identity: Identity, claim: Claim) -> str:
    what = f"{claim.source} says {claim.kind} {claim.value[:12]}"
    if claim.size is not None and claim.size != identity.size:
        if identity.size < claim.size:
            return f"{what}, {claim.size:,} bytes; this file has {identity.size:,}: cut short, or another variant"
        return f"{what}, {claim.size:,} bytes; this file has {identity.size:,}: another variant"
    if claim.trust == "believed":
        return f"{what}: the file has changed since it looked, or it looked at another one"
    if claim.kind == "autov3":
        return f"{what}: the tensors were damaged or changed since"
    return f"{what}: damaged, edited, or another file"
