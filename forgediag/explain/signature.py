"""Signatures of errors: data anyone can add to, and matching them in time linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from forgediag.explain.machine import Machine

Level = Literal["error", "warning", "note", "wrapper", "follow-up", "ending", "harmless"]

TOPICS = (
    "files",
    "loading",
    "parts",
    "memory",
    "devices",
    "adapters",
    "quantised",
    "api",
    "install",
    "setup",
    "system",
    "network",
    "process",
    "runtime",
    "tensors",
    "reading",
    "web",
    "warnings",
    "extensions",
    "packages",
    "generation",
    "requests",
    "launcher",
    "controlnet",
    "addons",
    "forks",
    "libraries",
    "general",
)

NUMBER = re.compile(r"<(\d{1,6})\+>")
_BLANK = re.compile(r"\{(\d|place|package)(?:\|([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Example:
    """Text as it is printed, and where that can be read; near misses were made up.

    `worded`: "printed" (somebody's console had it) or "from source" (taken from the code that prints it, or a short
    form of what was printed; the issue named tells of it, but its text was not compared).
    """

    text: str
    source: str
    worded: Literal["printed", "from source"] = "printed"


class Pattern:
    """Literal text with `*` for anything between and `<N+>` for a number of at least N; white space is no matter.

    ` *` at the end is for what follows in the line, `^` at the beginning for the beginning of a line. One with a number
    or of one word is looked for in single lines.

    Each literal is searched once, from where the one before ended: time is linear in the text whatever the text.
    """

    def __init__(self, text: str) -> None:
        """Read a pattern.

        Raises:
            ValueError: it begins with `*`, or a literal is empty.
        """
        self.first, text = text.startswith("^"), text.removeprefix("^")
        self.text = text
        self.rest = text.endswith(" *")
        self.pieces = tuple("".join(piece.split()) for piece in text.removesuffix(" *").split("*"))
        if not all(self.pieces):
            raise ValueError(f"{text!r} has nothing before, after or between its asterisks")
        self.weight = sum(map(len, self.pieces))
        self.numbers = {piece: _number(piece) for piece in self.pieces if NUMBER.search(piece)}
        self.one_line = bool(self.numbers) or (len(self.pieces) == 1 and " " not in text)

    def find(self, squeezed: str) -> int:
        """Where it begins in text without white space; -1 where it does not match."""
        begin = position = -1
        for piece in self.pieces:
            start, end = self._piece(piece, squeezed, max(position, 0))
            if start < 0:
                return -1
            begin, position = (start if begin < 0 else begin), end
            if self.first and begin:
                return -1
        return begin

    def gaps(self, text: str) -> tuple[str, ...]:
        """What its asterisks stand for in text that it matches; nothing where it does not or has none."""
        if len(self.pieces) == 1 and not self.rest:
            return ()
        kept = [at for at, char in enumerate(text) if not char.isspace()]
        squeezed, position, gaps = "".join(text[at] for at in kept), -1, list[str]()
        for piece in self.pieces:
            start, end = self._piece(piece, squeezed, max(position, 0))
            if start < 0:
                return ()
            if position >= 0:
                gaps.append(text[kept[position] : kept[start - 1] + 1] if start > position else "")
            position = end
        if self.rest:
            gaps.append(text[kept[position - 1] + 1 :].partition("\n")[0].strip(" .'\"│"))
        return tuple(gaps)

    def _piece(self, piece: str, text: str, after: int) -> tuple[int, int]:
        if (number := self.numbers.get(piece)) is None:
            start = text.find(piece, after)
            return start, start + len(piece)
        pattern, least = number
        for match in pattern.finditer(text, after):
            if float(match[1]) >= least:
                return match.start(), match.end()
        return -1, -1


def _number(piece: str) -> tuple[re.Pattern[str], float]:
    before, least, after = NUMBER.split(piece, maxsplit=1)
    return re.compile(rf"{re.escape(before)}(?<![\d.])(\d{{1,9}}(?:\.\d{{1,9}})?){re.escape(after)}"), float(least)


@dataclass(frozen=True, slots=True)
class Signature:
    """One kind of failure.

    `level`: "error"; "warning" (works, but not as it should); "note" (usual in healthy logs: told only for an excerpt);
    "harmless" (an error printed in healthy logs); "wrapper" (Forge's word for any failure, the cause is in front of
    it); "follow-up" (comes after another); "ending" (the process ended: told for itself only after no error).
    `after`: ids whose follow-up it is when they came before, however long ago. `frames`: "any" looks for it in the
    frames of a traceback too.
    `general`: true of a whole class of errors, and told only where nothing finer is known. `where`: told only of an
    error whose traceback has one of these in its frames' paths, or (`@extension`, `@builtin`, `@forge`, `@package`,
    `@package:NAME`, `@in-package`: in a package it called, `@forge-in-package`: that Forge called, `@unplaced`,
    `@forge:modules/FILE.py`) was raised there; both for `one+other`. A general one may have `where` and no patterns: it
    is told of any error raised there. In title, cause and fix `{1}` is what the first asterisk stands for, `{place}`
    where the error was raised and `{package}` the package it went through; `{1|text}` says text where there is none.
    `given`: what the numbers that the asterisks stand for must be to each other (`forgediag.explain.given`).
    `machine`: told only where the card is of this maker ("amd"), or of this or nothing is known of it ("nvidia").
    `forks`: where it was seen or is in the source; empty for all.
    """

    id: str
    title: str
    cause: str
    fix: tuple[str, ...]
    sources: tuple[str, ...]
    level: Level
    patterns: tuple[Pattern, ...]
    examples: tuple[Example, ...]
    near_miss: str
    topic: str
    after: tuple[str, ...] = ()
    forks: tuple[str, ...] = ()
    frames: Literal["", "any"] = ""
    general: bool = False
    where: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    machine: Machine = ""

    def on(self, machine: Machine) -> bool:
        """Whether it can be true of a machine."""
        return self.machine in {"", machine} or (not machine and self.machine == "nvidia")


def parse(topic: str, entry: Mapping[str, Any]) -> Signature:
    """A signature from its entry in a topic's file.

    Raises:
        ValueError, KeyError: the entry is not one.
    """
    return Signature(
        id=entry["id"],
        title=entry["title"],
        cause=entry["cause"],
        fix=tuple(entry["fix"]),
        sources=tuple(entry["sources"]),
        level=entry["level"],
        patterns=tuple(Pattern(text) for text in entry["patterns"]),
        examples=tuple(
            Example(example["text"], example["source"], example.get("worded", "printed"))
            for example in entry["examples"]
        ),
        near_miss=entry["near_miss"],
        topic=topic,
        after=tuple(entry.get("after", ())),
        forks=tuple(entry.get("forks", ())),
        frames=entry.get("frames", ""),
        general=entry.get("general", False),
        where=tuple(entry.get("where", ())),
        given=tuple(entry.get("given", ())),
        machine=entry.get("machine", ""),
    )


def filled(text: str, gaps: Sequence[str], place: str, package: str) -> str:
    """A signature's text with its blanks filled in."""

    def word(match: re.Match[str]) -> str:
        name = match[1]
        if name.isdigit():
            found = gaps[int(name) - 1] if int(name) <= len(gaps) else ""
        else:
            found = place if name == "place" else package
        return found or match[2] or "…"

    return _BLANK.sub(word, text) if "{" in text else text


def _read() -> Iterator[Signature]:
    folder = files("forgediag.explain") / "signatures"
    for topic in TOPICS:
        for entry in json.loads((folder / f"{topic}.json").read_text("utf-8")):
            yield parse(topic, entry)


@cache
def signatures() -> tuple[Signature, ...]:
    """All that come with forgediag."""
    return tuple(_read())
