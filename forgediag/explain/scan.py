"""A console's lines to what happened in them: what was printed, what was raised, where a load or a start begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from forgediag.explain.signature import Signature
from forgediag.explain.text import HOT, framed, plain, squeezed

BATCH = 4000
"""Lines looked at together."""

AHEAD = 12
"""Lines that a message may go on for after its first."""

FRAMES = 400
"""Lines a traceback may have before its error; longer ones are taken for broken off."""

_RAISED = re.compile(r"[ |*]{0,8}((?:[A-Za-z_]\w{0,80}\.){0,6}[A-Za-z_]\w{0,80})(?:: |:?$)")
_ENDINGS = ("Error", "Exception", "Interrupt", "Exit", "Warning", "Iteration")
_LINKS = ("During handling of the above exception", "The above exception was the direct cause")
_OTHERS = ("Traceback (most", "INFO: ", "Loading Model", "###", *_LINKS)


@dataclass(frozen=True, slots=True)
class Said:
    """Something a signature knows, or (`signature` None) an error that none knows.

    `chain`: which chain of exceptions it is of, counted from 1; 0 for what was only printed.
    """

    line: int
    text: str
    signature: Signature | None
    chain: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Where what went before is over: a model load begins, the program starts, a generation is done."""

    line: int
    kind: Literal["load", "start", "done"]


Numbered = tuple[int, str]


def scan(lines: Iterable[str], signatures: Sequence[Signature]) -> Iterator[Said | Turn]:
    """What happened, in order. Memory is bounded whatever the lines are."""
    scanner = _Scanner(signatures)
    rest: list[Numbered] = []
    numbered = _numbered(lines)
    while batch := list(islice(numbered, BATCH)):
        batch = rest + batch
        yield from scanner.read(batch, len(batch) - AHEAD)
        rest = batch[max(scanner.position, 0) :]
    yield from scanner.read(rest, len(rest))
    yield from scanner.broken_off()


def _numbered(lines: Iterable[str]) -> Iterator[Numbered]:
    """Lines with their numbers; what a progress bar wrote over itself counts as lines of the same number."""
    for number, line in enumerate(lines, 1):
        if "\r" in line:
            for part in line.split("\r"):
                if part:
                    yield number, part
        else:
            yield number, line


class _Scanner:
    """Where in a traceback the reading is."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._signatures = signatures
        self._framed = tuple(signature for signature in signatures if signature.frames)
        self._open = 0
        self._linked = False
        self._chain = 0
        self._frames: Said | None = None
        self.position = 0

    def read(self, lines: list[Numbered], end: int) -> Iterator[Said | Turn]:
        """Lines up to `end`; `position` is then the first that was not read."""
        blob = "\n".join(text for _, text in lines)
        words = [word for word in HOT if word in blob]
        at, skipping = 0, not words
        while at < end:
            number, text = lines[at]
            if self._open:
                yield from self._in_traceback(lines, at)
            elif not skipping and any(word in text for word in words):
                yield from self._outside(number, plain(text), lines, at)
            elif not skipping and at + 1 < len(lines) and any(word in lines[at + 1][1] for word in words):
                yield from self._printed(number, plain(text), lines, at)
            at += 1
        self.position = at

    def _outside(self, number: int, text: str, lines: list[Numbered], at: int) -> Iterator[Said | Turn]:
        if any(link in text for link in _LINKS):
            self._linked = True
        elif "Traceback (most recent call last)" in text or text.lstrip().startswith('File "'):
            self._begin()
            self._look_at_frame(number, text)
        elif (turn := _turn(number, text)) is not None:
            self._linked = False
            yield turn
            yield from self._printed(number, text, lines, at)
        else:
            yield from self._printed(number, text, lines, at)

    def _begin(self) -> None:
        self._chain += not self._linked
        self._open, self._linked, self._frames = 1, False, None

    def _in_traceback(self, lines: list[Numbered], at: int) -> Iterator[Said | Turn]:
        number, text = lines[at][0], plain(lines[at][1])
        self._open += 1
        if not text or text[0] == " " or framed(text):
            self._look_at_frame(number, text)
            if self._open > FRAMES:
                yield from self.broken_off()
        elif _is_raised(text):
            self._open = 0
            yield self._raised(number, text, lines, at)
        elif any(link in text for link in _LINKS) or _turn(number, text) is not None:
            self._open = 0
            yield from self._outside(number, text, lines, at)
        elif "Traceback (most recent call last)" not in text:
            yield from self._printed(number, text, lines, at)

    def broken_off(self) -> Iterator[Said]:
        """What the frames of a traceback told whose error never came."""
        if self._open and self._frames is not None:
            yield self._frames
        self._open, self._frames = 0, None

    def _look_at_frame(self, number: int, text: str) -> None:
        for signature in self._framed:
            if signature.weigh(squeezed(text)):
                self._frames = Said(number, text.strip(), signature, self._chain)

    def _raised(self, number: int, text: str, lines: list[Numbered], at: int) -> Said:
        parts = [text, *_going_on(lines, at)]
        found = self._heaviest("".join(map(squeezed, parts)), None)
        if found is None and self._frames is not None:
            return self._frames
        return Said(number, _quoted(text), found, self._chain)

    def _printed(self, number: int, text: str, lines: list[Numbered], at: int) -> Iterator[Said]:
        first = squeezed(text)
        if not first:
            return
        whole = first + "".join(squeezed(plain(line)) for _, line in lines[at + 1 : at + 4])
        found = self._heaviest(whole, len(first))
        if found is not None or _is_error(text):
            yield Said(number, _quoted(text), found)

    def _heaviest(self, whole: str, before: int | None) -> Signature | None:
        best, heaviest = None, 0
        for signature in self._signatures:
            if (weight := signature.weigh(whole, before)) > heaviest:
                best, heaviest = signature, weight
        return best


def _going_on(lines: list[Numbered], at: int) -> Iterator[str]:
    """The further lines of an error's message."""
    for _, line in lines[at + 1 : at + AHEAD]:
        text = plain(line)
        if not text or text.startswith(_OTHERS) or _is_raised(text):
            return
        yield text


def _quoted(text: str) -> str:
    return text.strip()[:500]


def _is_raised(text: str) -> bool:
    match = _RAISED.match(text)
    if match is None:
        return False
    name = match[1]
    return name.endswith(_ENDINGS) or ("." in name and not name.endswith((".py", ".bat", ".sh", ".exe")))


def _is_error(text: str) -> bool:
    """Whether a line alone, without a traceback, is the last line of one."""
    match = _RAISED.match(text)
    return match is not None and match[1].endswith(("Error", "Exception"))


def _turn(number: int, text: str) -> Turn | None:
    if text.startswith("Loading Model"):
        return Turn(number, "load")
    if text.startswith(("Launching ", "Python 3.", "Total VRAM ")):
        return Turn(number, "start")
    if "Total progress: 100%" in text or ("2img HTTP/1." in text and text.endswith((" 200", " 200 OK"))):
        return Turn(number, "done")
    return None
