"""Judging an API payload before it is sent: what this Forge will refuse, drop, or leave behind for others."""

from __future__ import annotations

from collections.abc import Mapping

from forgediag.forge.payload.fields import IMG2IMG, OPTIONS, TXT2IMG
from forgediag.forge.payload.jobs import job
from forgediag.forge.payload.known import Kind, Knowledge
from forgediag.forge.payload.settings import settings
from forgediag.model import Finding

__all__ = ["MOST", "Kind", "Knowledge", "guess", "lint"]

MOST = 100
"""Findings told of one payload."""


def guess(values: Mapping[str, object]) -> Kind:
    """What a payload is for, by its keys."""
    if "init_images" in values or "mask" in values:
        return "img2img"
    fields, options = (sum(name in known for name in values) for known in ({*TXT2IMG, *IMG2IMG}, OPTIONS))
    return "options" if options > fields else "txt2img"


def lint(values: Mapping[str, object], kind: Kind, known: Knowledge) -> tuple[Finding, ...]:
    """What is wrong with a payload, worst first; at most `MOST` findings.

    Args:
        values: the payload.
        kind: where it is to be sent.
        known: the Forge it is meant for.
    """
    found = settings(values, known, override=False) if kind == "options" else job(values, kind, known)
    first = [finding for finding, _ in zip(found, range(MOST), strict=False)]
    return tuple(sorted(first, key=lambda finding: -finding.severity))
