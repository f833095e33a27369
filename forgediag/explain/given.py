"""What a message's numbers must be to each other for a signature to be true of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forgediag.explain.known import PACKAGES

LONGEST = 12
"""Digits of a number that is compared."""

_NAME = re.compile(r"\w{1,80}(?:\.\w{1,80}){0,9}")


def holds(conditions: Sequence[str], gaps: Sequence[str]) -> bool:
    """Whether one of the conditions is true of what a pattern's asterisks stand for.

    A condition is relations between whole numbers that must all be true, parted by `;`: products on both sides of `=`,
    `!=` or `<`, or a number and those it may be: `{1} * 2 = {3}; {2} in 768 1024`. `{1}` is what the first asterisk
    stands for; a relation with one that stands for anything but a number is not true. `{1} is name` is true of a name
    as Python's modules have, `{1} is package` of that of a package that pip installs, or of a module in it, and
    `{1} is own` of another name.

    Raises:
        ValueError: there is no relation in a part of a condition.
    """
    return any(all(_true(part.split(), gaps) for part in condition.split(";")) for condition in conditions)


def _true(words: Sequence[str], gaps: Sequence[str]) -> bool:
    at = next((at for at, word in enumerate(words) if word in {"=", "!=", "<", "in", "is"}), 0)
    if not 0 < at < len(words) - 1:
        raise ValueError(f"{' '.join(words)!r} is no relation")
    if words[at] == "is":
        return _is(_gap(words[0], gaps), words[at + 1])
    left = _product(words[:at], gaps)
    if words[at] == "in":
        return str(left) in words[at + 1 :]
    right = _product(words[at + 1 :], gaps)
    if left is None or right is None:
        return False
    return left < right if words[at] == "<" else (left == right) == (words[at] == "=")


def _product(words: Sequence[str], gaps: Sequence[str]) -> int | None:
    product = 1
    for word in words:
        if word != "*":
            if not (text := _number(word, gaps)):
                return None
            product *= int(text)
    return product


def _is(name: str, kind: str) -> bool:
    """Whether it is a name, and (`kind` "package") of a known package or a module in it, or ("own") of none."""
    known = name.partition(".")[0] in PACKAGES
    return _NAME.fullmatch(name) is not None and (kind == "name" or (kind == "package") == known)


def _gap(word: str, gaps: Sequence[str]) -> str:
    """What the asterisk that is named stands for."""
    at = int(word[1:-1]) - 1
    return gaps[at].strip() if at < len(gaps) else ""


def _number(word: str, gaps: Sequence[str]) -> str:
    """The digits of a number or of what an asterisk stands for; empty where that is no number."""
    if word[0] == "{":
        word = _gap(word, gaps)
    return word if word.isascii() and word.isdigit() and len(word) <= LONGEST else ""
