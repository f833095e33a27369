"""Characters for bars and curves, as far as the terminal can show them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

WIDTH = 100
"""Columns everything fits in."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One character each: memory of others, weights, computing, free; points of a curve, marks on it, its axes."""

    others: str
    weights: str
    computing: str
    free: str
    point: str
    unfit: str
    here: str
    best: str
    across: str
    down: str
    corner: str


FINE = Glyphs("▒", "█", "▓", "·", "•", "×", "○", "●", "─", "│", "└")  # noqa: RUF001 - glyphs, not letters
ASCII = Glyphs("o", "#", "+", ".", "*", "x", "O", "@", "-", "|", "+")


def glyphs() -> Glyphs:
    """Those that standard output's encoding has."""
    try:
        "".join(vars_of(FINE)).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return FINE


def vars_of(chosen: Glyphs) -> tuple[str, ...]:
    """Every character of a set."""
    return tuple(getattr(chosen, name) for name in Glyphs.__slots__)
