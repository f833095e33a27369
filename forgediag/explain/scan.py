"""A console's lines to what happened in them: what was printed, what was raised, where a load or a start begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Literal

from forgediag.explain.anchors import Anchors, Candidates
from forgediag.explain.signature import Pattern, Signature
from forgediag.explain.text import LONGEST, framed, plain, squeezed

BATCH = 4000
"""Lines looked at together."""

AHEAD = 12
"""Lines that a message may go on for after its first."""

AROUND = 3
"""Lines that a message may be wrapped over when it was only printed."""

FRAMES = 400
"""Lines a traceback may have before its error; longer ones are taken for broken off."""

_RAISED = re.compile(r"[ |*]{0,8}((?:[A-Za-z_]\w{0,80}\.){0,6}[A-Za-z_]\w{0,80})(?:: |:?$)")
_MARGIN = re.compile(r"(?:\*{3} ?)?[ >]{0,16}")
_ENDINGS = ("Error", "Exception", "Interrupt", "Exit", "Warning", "Iteration")
_LINKS = ("During handling of the above exception", "The above exception was the direct cause")
_OTHERS = ("Traceback (most", "INFO: ", "Loading Model", "###", "***", *_LINKS)


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
    scanner = _Scanner(Anchors(signatures))
    rest: list[Numbered] = []
    numbered = _numbered(lines)
    while batch := list(islice(numbered, BATCH)):
        batch = rest + batch
        end = max(len(batch) - AHEAD, 0)
        yield from scanner.read(batch, end)
        rest = batch[end:]
    yield from scanner.read(rest, len(rest))
    yield from scanner.broken_off()


def _numbered(lines: Iterable[str]) -> Iterator[Numbered]:
    """Lines with their numbers; what a progress bar wrote over itself counts as lines of the same number."""
    for number, line in enumerate(lines, 1):
        if "\r" in line:
            for part in line.split("\r"):
                if part:
                    yield number, part[:LONGEST]
        else:
            yield number, line[:LONGEST]


class _Scanner:
    """Where in a traceback the reading is, and what could be in the lines at hand."""

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._found: Candidates = {}
        self._open = 0
        self._linked = False
        self._chain = 0
        self._frames: Said | None = None
        self._margin = ""

    def read(self, lines: Sequence[Numbered], end: int) -> Iterator[Said | Turn]:
        """The lines before `end`; those after it are only looked ahead at."""
        marked, self._found = self._anchors.find([text for _, text in lines])
        near = {line - before for line, patterns in self._found.items() for before in range(_reach(patterns))}
        looked_at = sorted(line for line in marked | near if 0 <= line < end)
        at = 0
        for line in looked_at:
            while self._open and at < line:
                yield from self._in_traceback(lines, at)
                at += 1
            at = line + 1
            yield from (self._in_traceback if self._open else self._outside)(lines, line)
        while self._open and at < end:
            yield from self._in_traceback(lines, at)
            at += 1

    def _outside(self, lines: Sequence[Numbered], at: int) -> Iterator[Said | Turn]:
        number, text = lines[at][0], plain(lines[at][1])
        if any(link in text for link in _LINKS):
            self._linked = True
        elif "Traceback (most recent call last)" in text or text.lstrip().startswith('File "'):
            self._begin(text)
            self._look_at_frame(number, text, at)
        else:
            if (turn := _turn(number, text)) is not None:
                self._linked = False
                yield turn
            yield from self._printed(lines, at)

    def _begin(self, text: str) -> None:
        margin = _MARGIN.match(text)
        self._margin = margin[0] if margin is not None and "Traceback (most" in text else ""
        self._chain += not self._linked
        self._open, self._linked, self._frames = 1, False, None

    def _in_traceback(self, lines: Sequence[Numbered], at: int) -> Iterator[Said | Turn]:
        number, text = lines[at][0], self._plain(lines[at][1])
        self._open += 1
        if not text or text[0] == " " or framed(text):
            self._look_at_frame(number, text, at)
            if self._open > FRAMES:
                yield from self.broken_off()
        elif _is_raised(text):
            self._open = 0
            yield self._raised(number, text, lines, at)
        elif any(link in text for link in _LINKS) or _turn(number, text) is not None:
            self._open = 0
            yield from self._outside(lines, at)
        elif "Traceback (most recent call last)" not in text:
            yield from self._printed(lines, at)

    def broken_off(self) -> Iterator[Said]:
        """What the frames of a traceback told whose error never came."""
        if self._open and self._frames is not None:
            yield self._frames
        self._open, self._frames = 0, None

    def _look_at_frame(self, number: int, text: str, at: int) -> None:
        found = self._heaviest(squeezed(text), at, 1, None) if at in self._found else None
        if found is not None and found.frames:
            self._frames = Said(number, text.strip(), found, self._chain)

    def _raised(self, number: int, text: str, lines: Sequence[Numbered], at: int) -> Said:
        following = list(self._going_on(lines, at))
        own = [squeezed(part) for part in (text, *takewhile(_belongs, following))]
        found = self._heaviest("".join(own), at, len(own), None)
        if found is None:
            whole = "".join(map(squeezed, (text, *following)))
            found = self._heaviest(whole, at, len(following) + 1, len(own[0]))
        if self._frames is not None and (found is None or found.level == "follow-up"):
            return self._frames
        return Said(number, _quoted(text), found, self._chain)

    def _printed(self, lines: Sequence[Numbered], at: int) -> Iterator[Said]:
        number, text = lines[at][0], plain(lines[at][1])
        if not any(line in self._found for line in range(at, at + AROUND + 1)):
            if _is_error(text):
                yield Said(number, _quoted(text), None)
            return
        first = whole = squeezed(text)
        if any(_reach(self._found.get(line, ())) > 1 for line in range(at, at + AROUND + 1)):
            whole += "".join(squeezed(plain(line)) for _, line in lines[at + 1 : at + AROUND + 1])
        found = self._heaviest(whole, at, AROUND + 1, len(first))
        if found is not None or _is_error(text):
            yield Said(number, _quoted(text), found)

    def _plain(self, line: str) -> str:
        """A line of a traceback, without what stands before all of its lines."""
        return plain(line).removeprefix(self._margin)

    def _going_on(self, lines: Sequence[Numbered], at: int) -> Iterator[str]:
        """The further lines of an error's message."""
        for _, line in lines[at + 1 : at + AHEAD]:
            text = self._plain(line)
            if not text or text.startswith(_OTHERS) or _is_raised(text):
                return
            yield text

    def _heaviest(self, whole: str, at: int, count: int, before: int | None) -> Signature | None:
        """What matches best of all that could be in `count` lines from `at`, and begins before `before`."""
        best, heaviest = None, 0
        for line in range(at, at + count):
            for signature, pattern in self._found.get(line, ()):
                if pattern.weight > heaviest:
                    start = pattern.find(whole)
                    if start >= 0 and (before is None or start < before):
                        best, heaviest = signature, pattern.weight
        return best


def _reach(patterns: Sequence[tuple[Signature, Pattern]]) -> int:
    """How many lines before a word a pattern with it may begin, and one: a pattern that is one word is not wrapped."""
    return 1 if all(" " not in pattern.text and "*" not in pattern.text for _, pattern in patterns) else AROUND


def _belongs(text: str) -> bool:
    """Whether a line after an error's first is certainly of its message."""
    return text.startswith((" ", "size mismatch", "Missing key", "Unexpected key"))


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
