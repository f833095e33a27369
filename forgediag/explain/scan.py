"""A console's lines to what happened in them: what was printed, what was raised, where a load or a start begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from forgediag.explain.anchors import Anchors
from forgediag.explain.events import Said, Turn
from forgediag.explain.reader import AHEAD, Batch, Reader
from forgediag.explain.text import LONGEST, folded, unfolded

BATCH = 8000
"""Lines looked at together."""


class Lines:
    """Lines with their numbers, in batches, and counted; the first ones kept."""

    def __init__(self, lines: Iterable[str], keep: int) -> None:
        self._lines = iter(lines)
        self._keep = keep
        self.count = 0
        self.kept: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[Batch]:
        while texts := list(islice(self._lines, BATCH)):
            first = self.count + 1
            self.kept = self.kept or list(enumerate(texts[: self._keep], first))
            self.count += len(texts)
            whole = "\r" not in (text := "\n".join(texts)) and text.count("\n") < len(texts)
            if "call last)" in text and any(map(folded, texts)):
                yield _unfolded(texts, first)
            elif whole and max(map(len, texts)) <= LONGEST:
                yield Batch(texts, list(range(first, self.count + 1)))
            else:
                yield _parted(texts, first)


def _unfolded(texts: Sequence[str], first: int) -> Batch:
    """What stands in a traceback without line ends counts as lines of the same number."""
    batch = Batch([], [])
    for number, text in enumerate(texts, first):
        part = _parted(unfolded(text) if folded(text) else [text], number)
        batch.texts.extend(part.texts)
        batch.numbers.extend([number] * len(part.texts))
    return batch


def _parted(texts: Sequence[str], first: int) -> Batch:
    """What a progress bar wrote over itself counts as lines of the same number."""
    batch = Batch([], [])
    for number, text in enumerate(texts, first):
        if "\r" in text or "\n" in text:
            parts = [part[:LONGEST] for part in text.replace("\n", "\r").split("\r") if part]
        else:
            parts = [text[:LONGEST]]
        batch.texts.extend(parts)
        batch.numbers.extend([number] * len(parts))
    return batch


def scan(batches: Iterable[Batch], anchors: Anchors) -> Iterator[Said | Turn]:
    """What happened, in order. Memory is bounded whatever the lines are."""
    reader = Reader(anchors)
    rest = Batch([], [])
    for batch in batches:
        lines = Batch(rest.texts + batch.texts, rest.numbers + batch.numbers)
        end = max(len(lines.texts) - AHEAD, 0)
        yield from reader.read(lines, end)
        rest = Batch(lines.texts[end:], lines.numbers[end:])
    yield from reader.read(rest, len(rest.texts))
    yield from reader.ended()
