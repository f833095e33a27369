"""Signatures of errors: data anyone can add to, and matching them in time linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Level = Literal["error", "warning", "note", "wrapper", "follow-up", "harmless"]

TOPICS = ("files", "loading", "parts", "memory", "devices", "adapters", "quantised", "api", "install")

_NUMBER = re.compile(r"<(\d{1,6})\+>")


@dataclass(frozen=True, slots=True)
class Example:
    """Text that was really printed, and where it can be read; near misses were made up."""

    text: str
    source: str


class Pattern:
    """Literal text with `*` for anything between and `<N+>` for a number of at least N; white space is no matter.

    Each literal is searched once, from where the one before ended: time is linear in the text whatever the text.
    """

    def __init__(self, text: str) -> None:
        """Read a pattern.

        Raises:
            ValueError: it begins or ends with `*`, or a literal is empty.
        """
        self.text = text
        self.pieces = tuple("".join(piece.split()) for piece in text.split("*"))
        if not all(self.pieces):
            raise ValueError(f"{text!r} has nothing before, after or between its asterisks")
        self.weight = sum(map(len, self.pieces))
        self._numbers = {piece: _number(piece) for piece in self.pieces if _NUMBER.search(piece)}

    def find(self, squeezed: str) -> int:
        """Where it begins in text without white space; -1 where it does not match."""
        begin = position = -1
        for piece in self.pieces:
            start, end = self._piece(piece, squeezed, max(position, 0))
            if start < 0:
                return -1
            begin, position = (start if begin < 0 else begin), end
        return begin

    def _piece(self, piece: str, text: str, after: int) -> tuple[int, int]:
        if (number := self._numbers.get(piece)) is None:
            start = text.find(piece, after)
            return start, start + len(piece)
        pattern, least = number
        for match in pattern.finditer(text, after):
            if float(match[1]) >= least:
                return match.start(), match.end()
        return -1, -1


def _number(piece: str) -> tuple[re.Pattern[str], float]:
    before, least, after = _NUMBER.split(piece, maxsplit=1)
    return re.compile(rf"{re.escape(before)}(?<![\d.])(\d{{1,9}}(?:\.\d{{1,9}})?){re.escape(after)}"), float(least)


@dataclass(frozen=True, slots=True)
class Signature:
    """One kind of failure.

    `level`: "error"; "warning" (works, but not as it should); "note" (usual in healthy logs: told only for an excerpt);
    "harmless" (an error printed in healthy logs); "wrapper" (Forge's word for any failure, the cause is in front of
    it); "follow-up" (comes after another).
    `after`: ids whose follow-up it is when they came before, however long ago. `frames`: looked for in the frames of a
    traceback too. `forks`: where it was seen or is in the source; empty for all.
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
    frames: bool = False


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
        examples=tuple(Example(example["text"], example["source"]) for example in entry["examples"]),
        near_miss=entry["near_miss"],
        topic=topic,
        after=tuple(entry.get("after", ())),
        forks=tuple(entry.get("forks", ())),
        frames=entry.get("frames", False),
    )


def _read() -> Iterator[Signature]:
    folder = files("forgediag.explain") / "signatures"
    for topic in TOPICS:
        for entry in json.loads((folder / f"{topic}.json").read_text("utf-8")):
            yield parse(topic, entry)


@cache
def signatures() -> tuple[Signature, ...]:
    """All that come with forgediag."""
    return tuple(_read())
