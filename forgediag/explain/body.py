"""An answer of Forge's API, as the lines it would be on a console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LONGEST = 16 * 1024 * 1024
"""Characters of an answer; a longer text is no answer of Forge's but a log, or nothing."""

DEEPEST = 8
"""Levels that Forge's answers may have."""


class BodyError(ValueError):
    """The text begins like JSON but is none that Forge would answer with."""


def looks_like_body(text: str) -> bool:
    """Whether the text begins as JSON does, and not as a line of a log."""
    start = text.lstrip("\ufeff \t\r\n")[:2]
    return start[:1] == "{" or start in {'["', "[{", "[]", "[["}


def lines(text: str) -> list[str]:
    """The lines to explain of an API's answer, such as `{"error": "ValueError", "message": "…"}`.

    Raises:
        BodyError: the text is no JSON, or is nested deeper than any answer of Forge.
    """
    try:
        body: Any = json.loads(text)
    except RecursionError:
        raise BodyError("nested too deep to be an answer of Forge") from None
    except ValueError as error:
        raise BodyError(f"not JSON: {error}") from None
    return list(_lines(body, 0))


def _lines(body: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise BodyError("nested too deep to be an answer of Forge")
    if isinstance(body, dict):
        for key, value in _pairs(body):  # pyright: ignore[reportUnknownArgumentType] - JSON
            if isinstance(value, str):
                yield from _told(key, value)
            else:
                yield from _lines(value, depth + 1)
    elif isinstance(body, list):
        for value in body:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from _lines(value, depth + 1)
    elif isinstance(body, str):
        yield from body.splitlines()


def _pairs(body: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Its keys and values; error and message joined as Python prints them."""
    error, message = body.get("error"), body.get("message") or body.get("errors")
    joined = isinstance(error, str) and isinstance(message, str)
    if joined:
        yield "", f"{error}: {message}"
    for key, value in body.items():
        if not joined or key not in {"error", "message", "errors"}:
            yield str(key), value


def _told(key: str, value: str) -> Iterator[str]:
    parts = value.splitlines()
    if key == "detail" and len(parts) == 1:
        yield f'"detail": "{value}"'
    else:
        yield from parts
