"""Where in many lines something could be: one word of each pattern, looked for in all of them at once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from forgediag.explain.signature import Pattern, Signature

Candidates = Mapping[int, Sequence[tuple[Signature, Pattern]]]

MARKS = (
    "Traceback (most",
    'File "',
    "During handling of",
    "direct cause",
    "Loading Model",
    "Launching ",
    "Python 3.",
    "Total VRAM ",
    "Total progress: 100%",
    "2img HTTP/1.",
    "Error",
    "Exception",
)
"""What the course of things shows in: tracebacks, loads, starts, ends, and errors that no signature knows."""

_COMMON = frozenset(
    [
        "model",
        "Model",
        "Model:",
        "loaded",
        "Loading",
        "memory",
        "Memory",
        "safetensors",
        ".safetensors'",
        "diffusion",
        "module",
        "dimension",
        "Sampler",
        "{'checkpoint_info':",
        "{'filename':",
        "'additional_modules':",
        "[]",
        "vars",
        "changed:",
        "Environment",
        "usable",
        "LoRAs",
    ]
)
"""Words that healthy logs are full of."""

_WORDS = re.compile(r"<\d{1,6}\+>|\s|\*")


def anchor(pattern: Pattern) -> str:
    """The word of a pattern that text must hold for the pattern to be in it: its longest that is not common."""
    return max(_WORDS.split(pattern.text), key=lambda word: (word not in _COMMON, len(word)))


class Anchors:
    """The words of all signatures."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._words: dict[str, list[tuple[Signature, Pattern]]] = {}
        for signature in signatures:
            for pattern in signature.patterns:
                self._words.setdefault(anchor(pattern), []).append((signature, pattern))

    def find(self, lines: Sequence[str]) -> tuple[set[int], Candidates]:
        """Which lines have a mark, and which patterns could be in which lines."""
        text = "\n".join(lines)
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        marked: set[int] = set()
        for mark in MARKS:
            marked.update(_lines_with(mark, text, starts))
        found: dict[int, list[tuple[Signature, Pattern]]] = {}
        for word, patterns in self._words.items():
            for line in _lines_with(word, text, starts):
                found.setdefault(line, []).extend(patterns)
        return marked, found


def _lines_with(word: str, text: str, starts: Sequence[int]) -> list[int]:
    lines: list[int] = []
    position = text.find(word)
    while position >= 0:
        line = bisect_right(starts, position) - 1
        lines.append(line)
        position = text.find(word, starts[line + 1])
    return lines
