"""Where in many lines something could be: one word of each pattern, looked for in what is new among them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, compress

from forgediag.explain.signature import NUMBER, Pattern, Signature
from forgediag.explain.text import plain, squeezed

Matches = tuple[tuple[Signature, Pattern], ...]
Candidates = Mapping[int, Matches]

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

KINDS = 20_000
"""Kinds of lines that are remembered."""

LONG = 400
"""Bytes of the longest kind of line that is remembered."""

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
        "Inference",
        "tensors",
        "tensor",
        "dimensions",
        "encode",
        "encoder",
        "existing",
        "Automatic",
        "autocorrection:",
        "dtype",
        "dtype,",
        "partially",
        "sampling",
        "Sizes",
        "size",
        "images",
        "progress",
        "seconds",
        "loading",
        "unload",
        "Stable",
        "code",
        "code:",
        "status",
        "value",
    ]
)
"""Words that healthy logs are full of."""

_NINES = bytes.maketrans(b"012345678", b"9" * 9)
_BLANKS = b" \t\x0b\x0c"


def anchor(pattern: Pattern) -> str:
    """The word of a pattern that text must hold for the pattern to be in it: its longest that is not common."""
    words = (word for piece in NUMBER.sub("*", pattern.text).split("*") for word in piece.split())
    return max(words, key=lambda word: (word not in _COMMON, len(word)))


class Anchors:
    """The words of all signatures, and which kinds of lines have none.

    A line's kind is what is left of it when every digit is a 9 and no blanks are there. What holds a word holds the
    word's kind, so lines of a kind that was searched once need no second search.
    """

    def __init__(self, signatures: Iterable[Signature]) -> None:
        words: dict[bytes, list[tuple[Signature, Pattern]]] = {}
        for signature in signatures:
            for pattern in signature.patterns:
                words.setdefault(_kinds([anchor(pattern)])[0], []).append((signature, pattern))
        self._words = {word: tuple(patterns) for word, patterns in words.items()}
        self._marks = _kinds(MARKS)
        self._known: dict[bytes, tuple[Matches] | None] = {}

    def find(self, lines: Sequence[str]) -> tuple[list[int], Candidates]:
        """Which lines may have a mark, and which patterns could be in which lines; lines have no line ends."""
        kinds, known = _kinds(lines), self._known
        if len(known) > KINDS:
            known.clear()
        new = list(set(kinds).difference(known))
        for start in range(0, len(new), 1000):
            known.update(self._searched(new[start : start + 1000]))
        marked = list(compress(range(len(kinds)), map(known.__getitem__, kinds)))
        found = {line: matches for line in marked for matches in known[kinds[line]] or () if matches}
        for kind in new:
            if len(kind) > LONG:
                del known[kind]
        return marked, found

    def _searched(self, kinds: Sequence[bytes]) -> Iterable[tuple[bytes, tuple[Matches] | None]]:
        """What could be in lines of each kind; nothing (None) in most."""
        text = b"\n".join(kinds)
        starts = [0, *accumulate(len(kind) + 1 for kind in kinds)]
        found: dict[int, Matches] = {}
        for mark in self._marks:
            found.update((line, ()) for line in _lines_with(mark, text, starts))
        for word, patterns in self._words.items():
            for line in _lines_with(word, text, starts):
                possible = tuple(one for one in patterns if _possible(one[1], kinds[line]))
                if possible:
                    found[line] = found.get(line, ()) + possible
        return ((kind, (found[line],) if line in found else None) for line, kind in enumerate(kinds))


def _possible(pattern: Pattern, kind: bytes) -> bool:
    """Whether numbers as great as the digits allow would be great enough."""
    return not pattern.numbers or pattern.find(squeezed(plain(kind.decode("utf-8", "replace")))) >= 0


def _kinds(lines: Sequence[str]) -> list[bytes]:
    return "\n".join(lines).encode("utf-8", "surrogatepass").translate(_NINES, _BLANKS).split(b"\n")


def _lines_with(word: bytes, text: bytes, starts: Sequence[int]) -> list[int]:
    lines: list[int] = []
    position = text.find(word)
    while position >= 0:
        line = bisect_right(starts, position) - 1
        lines.append(line)
        position = text.find(word, starts[line + 1])
    return lines
