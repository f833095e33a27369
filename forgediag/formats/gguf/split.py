"""The pieces of a split GGUF file, as llama.cpp's gguf-split names them: NAME-00001-of-00005.gguf."""

from __future__ import annotations

import re
from collections.abc import Mapping

from forgediag.formats.faults import fault
from forgediag.model import Fault

_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE | re.DOTALL)
_LISTED = 3
MOST = 999
"""Pieces that are looked for at most; published models have under 100."""


def pieces(name: str) -> tuple[str, ...]:
    """The names of all pieces, in their order; none for a name of another kind."""
    found = _NAME.fullmatch(name)
    count = int(found[3]) if found else 0
    if not found or count > MOST:
        return ()
    return tuple(f"{found[1]}-{number:05}-of-{found[3]}.gguf" for number in range(1, count + 1))


def judge(name: str, piece: tuple[int, int], beside: Mapping[str, tuple[int, int] | None]) -> Fault:
    """Whether a piece can be joined with the others.

    Args:
        name: the file's name.
        piece: which piece of how many its header says it is, counted from 1.
        beside: the same of the files in its folder that have the names of `pieces(name)`; None for a whole file.
    """
    number, count = piece
    said = f"the file is piece {number} of {count}"
    names = pieces(name)
    if not names:
        return fault("gguf-split", f"{said}; its name does not tell those of the others")
    if len(names) != count:
        return fault("gguf-split-mixed", f"{said}, but its name counts {len(names)}")
    missing = [each for each in names if each not in beside]
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        are = "are" if len(missing) > 1 else "is"
        return fault("gguf-split-missing", f"{said}; {', '.join(missing[:_LISTED])}{more} {are} not beside it")
    for at, each in enumerate(names, 1):
        if beside[each] != (at, count):
            other = beside[each]
            really = "a whole file" if other is None else f"piece {other[0]} of {other[1]}"
            return fault("gguf-split-mixed", f"{said}, but {each} is {really}")
    return fault("gguf-split", f"{said}; all are here")
