"""What a message's numbers must be to each other for a signature to be true of it."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 12
"""Digits of a number that is compared."""


def holds(conditions: Sequence[str], gaps: Sequence[str]) -> bool:
    """Whether one of the conditions is true of what a pattern's asterisks stand for.

    A condition is relations between whole numbers that must all be true, parted by `;`: products on both sides of `=`,
    `!=` or `<`, or a number and those it may be: `{1} * 2 = {3}; {2} in 768 1024`. `{1}` is what the first asterisk
    stands for; a relation with one that stands for anything but a number is not true.

    Raises:
        ValueError: there is no relation in a part of a condition.
    """
    return any(all(_true(part.split(), gaps) for part in condition.split(";")) for condition in conditions)


def _true(words: Sequence[str], gaps: Sequence[str]) -> bool:
    at = next((at for at, word in enumerate(words) if word in {"=", "!=", "<", "in"}), 0)
    if not 0 < at < len(words) - 1:
        raise ValueError(f"{' '.join(words)!r} is no relation")
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


def _number(word: str, gaps: Sequence[str]) -> str:
    """The digits of a number or of what an asterisk stands for; empty where that is no number."""
    if word[0] == "{":
        at = int(word[1:-1]) - 1
        word = gaps[at].strip() if at < len(gaps) else ""
    return word if word.isascii() and word.isdigit() and len(word) <= LONGEST else ""
