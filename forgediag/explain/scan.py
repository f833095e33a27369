"""A console's lines to what happened in them: what was printed, what was raised, where a load or a start begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from forgediag.explain.reader import AHEAD, Numbered, Reader, Said, Turn
from forgediag.explain.signature import Signature
from forgediag.explain.text import LONGEST

__all__ = ["Said", "Turn", "scan"]

BATCH = 4000
"""Lines looked at together."""


class Lines:
    """Lines with their numbers, in batches, and counted; the first ones kept."""

    def __init__(self, lines: Iterable[str], keep: int) -> None:
        self._lines = iter(lines)
        self._keep = keep
        self.count = 0
        self.kept: list[Numbered] = []

    def __iter__(self) -> Iterator[list[Numbered]]:
        while batch := list(islice(self._lines, BATCH)):
            first = self.count + 1
            self.kept = self.kept or list(enumerate(batch[: self._keep], first))
            self.count += len(batch)
            whole = "\r" not in (text := "\n".join(batch)) and text.count("\n") < len(batch)
            if whole and max(map(len, batch)) <= LONGEST:
                yield list(enumerate(batch, first))
            else:
                yield list(_parts(batch, first))


def _parts(batch: Sequence[str], first: int) -> Iterator[Numbered]:
    """What a progress bar wrote over itself counts as lines of the same number."""
    for number, line in enumerate(batch, first):
        if "\r" in line or "\n" in line:
            for part in line.replace("\n", "\r").split("\r"):
                if part:
                    yield number, part[:LONGEST]
        else:
            yield number, line[:LONGEST]


def scan(batches: Iterable[Sequence[Numbered]], signatures: Sequence[Signature]) -> Iterator[Said | Turn]:
    """What happened, in order. Memory is bounded whatever the lines are."""
    reader = Reader(signatures)
    rest: list[Numbered] = []
    for batch in batches:
        lines = [*rest, *batch]
        end = max(len(lines) - AHEAD, 0)
        yield from reader.read(lines, end)
        rest = lines[end:]
    yield from reader.read(rest, len(rest))
    yield from reader.ended()
