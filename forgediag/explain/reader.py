"""Reading a console's lines: inside or outside of a traceback, and what could be in the lines at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from forgediag.explain.anchors import Anchors, Candidates, Matches
from forgediag.explain.events import Said, Turn, is_done, turn_of
from forgediag.explain.frames import Frames, Place, named
from forgediag.explain.given import holds
from forgediag.explain.machine import Machine, machine_of
from forgediag.explain.signature import Pattern, Signature
from forgediag.explain.text import error_within, framed, plain, raised, squeezed, unboxed

AHEAD = 12
"""Lines that a message may go on for after its first."""

AROUND = 3
"""Lines that a message may be wrapped over when it was only printed."""

FRAMES = 400
"""Lines a traceback may have before its error; longer ones are taken for broken off."""

FRAME_INDENT = 2
"""How much deeper than its traceback a frame is."""

_MARGIN = re.compile(r"(?:\*{3} ?)?[ >]{0,16}")
_LINKS = ("During handling of the above exception", "The above exception was the direct cause")
_OTHERS = ("Traceback (most", "INFO: ", "Loading Model", "###", "***", *_LINKS)
_IMPORTS = ("ImportError", "ModuleNotFoundError")
_HEADS = ("Error running ", "Error loading ", "Error executing ", "Error calling", "Error rows", "reporting error")


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that are looked at together, and the number of each."""

    texts: list[str]
    numbers: list[int]


Found = tuple[Signature, Pattern | None]


class Reader:
    """Where in a traceback the reading is, and what could be in the lines at hand."""

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._anywhere = [one for one in anchors.signatures if one.where and not one.patterns]
        self._found: Candidates = {}
        self._open = 0
        self._linked = False
        self._quiet = False
        """Whether a generation was done and nothing happened since, so that another changes nothing."""
        self._chain = 0
        self._told: Said | None = None
        self._margin = ""
        self._depth = 0
        self._number, self._last = 0, ""
        self._frames = Frames()
        self._within: tuple[int, Place] | None = None
        self._machine: Machine = ""

    def read(self, lines: Batch, end: int) -> Iterator[Said | Turn]:
        """The lines before `end`; those after it are only looked ahead at."""
        marked, self._found = self._anchors.find(lines.texts)
        near = {line - before for line, patterns in self._found.items() for before in range(_reach(patterns))}
        looked_at = sorted(line for line in near.union(marked) if 0 <= line < end)
        at = 0
        for line in looked_at:
            while self._open and at < line:
                self._quiet = False
                yield from self._in_traceback(lines, at)
                at += 1
            at = line + 1
            self._machine = machine_of(lines.texts[line]) or self._machine
            if self._quiet and not self._open and line not in self._found and is_done(lines.texts[line]):
                self._linked = False
                continue
            for event in (self._in_traceback if self._open else self._outside)(lines, line):
                self._quiet = isinstance(event, Turn) and event.kind != "load"
                yield event
        while self._open and at < end:
            self._quiet = False
            yield from self._in_traceback(lines, at)
            at += 1

    def _outside(self, lines: Batch, at: int) -> Iterator[Said | Turn]:
        number, text = lines.numbers[at], plain(lines.texts[at])
        turn = turn_of(number, text)
        if turn is not None:
            self._linked = False
            yield turn
            if at in self._found:
                yield from self._printed(lines, at)
        elif any(link in text for link in _LINKS):
            self._linked = True
        elif "Traceback (most recent call last)" in text or text.lstrip().startswith('File "'):
            self._begin(number, text)
            self._look_at_frame(number, text, at)
        else:
            yield from self._printed(lines, at)

    def _begin(self, number: int, text: str) -> None:
        margin = _MARGIN.match(text)
        if margin is not None and "Traceback (most" in text:
            self._margin = margin[0]
        else:
            self._margin = " " * (len(text) - len(text.lstrip()) - FRAME_INDENT)
        self._chain += not self._linked
        self._open, self._linked, self._told = 1, False, None
        self._frames, self._depth = Frames(self._place_near(number)), 0

    def _place_near(self, number: int) -> Place | None:
        """Whose the code is that an error's heading, a few lines above, named."""
        return self._within[1] if self._within is not None and number - self._within[0] <= AROUND else None

    def _in_traceback(self, lines: Batch, at: int) -> Iterator[Said | Turn]:
        number, text = lines.numbers[at], self._plain(lines.texts[at])
        if (boxed := unboxed(text)) and raised(boxed):
            text = boxed
        self._open += 1
        if "Traceback (most recent call last)" in text:
            yield from self._broken_off()
            self._begin(number, plain(lines.texts[at]))
        elif (not text or text.startswith((" ", 'File "')) or framed(text)) and not self._is_shallow_error(text):
            self._look_at_frame(number, text, at)
            if self._open > FRAMES:
                yield from self._broken_off()
        elif raised(text.lstrip()):
            self._open = 0
            yield self._raised(number, text.lstrip(), lines, at)
        elif any(link in text for link in _LINKS) or turn_of(number, text) is not None:
            self._open = 0
            yield from self._outside(lines, at)
        else:
            for said in self._printed(lines, at):
                if said.signature is not None and said.signature.level == "error":
                    self._open = 0
                yield said

    def _is_shallow_error(self, text: str) -> bool:
        """Whether it is an error less deep than the frames: an excerpt lost blanks, or its heading kept some."""
        return len(text) - len(text.lstrip()) < self._depth and error_within(text.lstrip())

    def ended(self) -> Iterator[Said]:
        """What a traceback tells that the text breaks off in."""
        place = self._frames.place() if self._open and self._told is None else None
        yield from self._broken_off()
        if place is not None:
            frames = Frames(place)
            cut = next((one for one in self._anywhere if one.level == "warning" and frames.hold(one.where)), None)
            if cut is not None:
                yield Said(self._number, self._last, cut, self._chain, place)

    def _broken_off(self) -> Iterator[Said]:
        if self._open and self._told is not None:
            yield self._told
        self._open, self._told = 0, None

    def _look_at_frame(self, number: int, text: str, at: int) -> None:
        if self._frames.add(text):
            self._number, self._last = number, _quoted(text)
            self._depth = len(text) - len(text.lstrip())
        if self._told is None and at in self._found:
            found = self._heaviest(squeezed(text), at, 1, None, self._frames)
            if found is not None and found[0].frames:
                self._told = Said(number, text.strip(), found[0], self._chain)

    def _raised(self, number: int, text: str, lines: Batch, at: int) -> Said:
        following = list(self._going_on(lines, at))
        own = [text, *takewhile(_belongs, following)]
        whole, before = "".join(map(squeezed, own)), None
        found = self._heaviest(whole, at, len(own), before, self._frames)
        if found is None or found[0].general:
            own, before = [text, *following], len(squeezed(text))
            whole = "".join(map(squeezed, own))
            found = self._heaviest(whole, at, len(own), before, self._frames) or found
        if self._told is not None and (found is None or found[0].general or found[0].level == "follow-up"):
            return self._told
        place = self._frames.place(importing=text.startswith(_IMPORTS))
        said = self._said(number, text, found or self._by_place(), own, place)
        return replace(said, heading=text.endswith(":") and framed(next(iter(following), "")))

    def _by_place(self) -> Found | None:
        """What can be said of an error only because of where it was raised."""
        said = [one for one in self._anywhere if one.level == "error" and self._frames.hold(one.where)]
        return (max(said, key=lambda one: "+" in one.where[0]), None) if said else None

    def _said(
        self,
        number: int,
        text: str,
        found: Found | None,
        lines: Sequence[str],
        place: Place | None,
        *,
        chained: bool = True,
    ) -> Said:
        chain = self._chain if chained else 0
        if found is None:
            return Said(number, _quoted(text), None, chain, place)
        signature, pattern = found
        gaps = pattern.gaps("\n".join(lines)) if pattern is not None else ()
        return Said(number, _quoted(text), signature, chain, place, gaps, chained and self._frames.ended)

    def _printed(self, lines: Batch, at: int) -> Iterator[Said]:
        number, text = lines.numbers[at], plain(lines.texts[at])
        near = [line for line in range(at, at + AROUND + 1) if line in self._found]
        if not near and "rror" not in text and "xception" not in text:
            return
        following = [plain(line) for line in lines.texts[at + 1 : at + AROUND + 1]]
        if any(head in text for head in _HEADS):
            place = named(text) or named(f"{text} {following[0]}" if following else "")
            self._within = (number, place) if place is not None else None
        place = self._frames.place() if self._open else self._place_near(number)
        frames = self._frames if self._open else Frames(place)
        if place is None and following and frames.add(following[0]):
            place = frames.place()
        first = whole = squeezed(text)
        if any(_reach(self._found[line]) > 1 for line in near):
            whole += "".join(map(squeezed, following))
        found = self._heaviest(whole, at, AROUND + 1, len(first), frames) if near else None
        heading = bool(following) and "Traceback (most" in following[0]
        if found is not None or (error_within(text) and not heading):
            said = self._said(number, text, found, [text, *following], place, chained=False)
            yield replace(said, heading=True, chain=self._chain + 1) if heading else said

    def _plain(self, line: str) -> str:
        """A line of a traceback, without what stands before all of its lines."""
        return plain(line).removeprefix(self._margin)

    def _going_on(self, lines: Batch, at: int) -> Iterator[str]:
        """The further lines of an error's message."""
        for line in lines.texts[at + 1 : at + AHEAD]:
            text = self._plain(line)
            if not text or text.startswith(_OTHERS) or raised(text):
                return
            yield text

    def _heaviest(self, whole: str, at: int, count: int, before: int | None, frames: Frames) -> Found | None:
        """What matches best of all that could be in `count` lines from `at`, and begins before `before`."""
        best: tuple[Signature, Pattern] | None = None
        heaviest = (False, False, False, 0, False)
        for line in range(at, at + count):
            for signature, pattern in self._found.get(line, ()):
                level = signature.level != "follow-up"
                there = bool(signature.where)
                weight = (not signature.general, level, signature.general and there, pattern.weight, there)
                if weight > heaviest and self._can_be(signature, frames):
                    start = pattern.find(whole)
                    if start >= 0 and (before is None or start < before) and _proved(signature, pattern, whole):
                        best, heaviest = (signature, pattern), weight
        return best

    def _can_be(self, signature: Signature, frames: Frames) -> bool:
        """Whether it can be true of this machine and of where the error was raised."""
        return (not signature.machine or signature.on(self._machine)) and (
            not signature.where or frames.hold(signature.where)
        )


def _proved(signature: Signature, pattern: Pattern, whole: str) -> bool:
    return not signature.given or holds(signature.given, pattern.gaps(whole))


def _reach(patterns: Matches) -> int:
    """How many lines before a word a pattern with it may begin, and one: some patterns are of one line."""
    return 1 if all(pattern.one_line for _, pattern in patterns) else AROUND


def _belongs(text: str) -> bool:
    """Whether a line after an error's first is certainly of its message."""
    return text.startswith((" ", "size mismatch", "Missing key", "Unexpected key"))


def _quoted(text: str) -> str:
    return text.strip()[:500]
