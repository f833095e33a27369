"""What happens in a console: something is said, a load or a start begins, a generation is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forgediag.explain.frames import Place
from forgediag.explain.signature import Signature, filled


@dataclass(frozen=True, slots=True)
class Said:
    """Something a signature knows, or (`signature` None) an error that none knows.

    `chain`: which chain of exceptions it is of, counted from 1; 0 for what was only printed. `place`: whose code raised
    it, where that is known. `gaps`: what the asterisks of the signature's pattern stand for. `ended`: the start of the
    program ended with it. `heading`: it is the line in front of a traceback.
    """

    line: int
    text: str
    signature: Signature | None
    chain: int = 0
    place: Place | None = None
    gaps: tuple[str, ...] = ()
    ended: bool = False
    heading: bool = False

    def filled(self, text: str) -> str:
        """A text of its signature about this very error."""
        owner = self.place.owner if self.place else ""
        return filled(text, self.gaps, owner, self.place.package if self.place else "")


@dataclass(frozen=True, slots=True)
class Turn:
    """Where what went before is over: a model load begins, the program starts, a generation is done."""

    line: int
    kind: Literal["load", "start", "done"]


def turn_of(number: int, text: str) -> Turn | None:
    """What a line says of the course of things."""
    if text.startswith("Loading Model"):
        return Turn(number, "load")
    if text.startswith(("Launching ", "Python 3.", "Total VRAM ")):
        return Turn(number, "start")
    return Turn(number, "done") if is_done(text) else None


def is_done(text: str) -> bool:
    """Whether it says that a generation is done."""
    return "Total progress: 100%" in text or ("2img HTTP/1." in text and text.endswith((" 200", " 200 OK")))
