"""How one setting's value is read, from TOML, a variable or a flag, and what it is called when it is not that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forgediag.toml import is_list, is_mapping


class ConfigError(Exception):
    """A setting that cannot be used: one line with its name, the reason and the way out."""


def converted(annotation: str, value: Any, what: str) -> Any:
    """A value as a field with this annotation holds it.

    Raises:
        ConfigError: it is of another type; `what` names the setting.
    """
    convert, wanted = CONVERTERS.get(annotation, (None, ""))
    if convert is None:  # a section, already filled
        return value
    try:
        return convert(value)
    except ValueError:
        raise ConfigError(f"{what} is {value!r}, not {wanted}") from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    return int(value)


def _boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _seconds(value: Any) -> tuple[int, ...]:
    numbers: Any = value.split(",") if isinstance(value, str) else value
    if not is_list(numbers) or not all(isinstance(item, str) or type(item) is int for item in numbers):
        raise ValueError
    return tuple(int(item) for item in numbers)


def _words(value: Any) -> tuple[str, ...]:
    words: Any = value.split() if isinstance(value, str) else value
    if not is_list(words) or not all(isinstance(item, str) for item in words):
        raise ValueError
    return tuple(words)


def _table(value: Any) -> dict[str, str]:
    if not is_mapping(value) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError
    return dict(value)


CONVERTERS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "float": (_number, "a number"),
    "int": (_whole, "a whole number"),
    "bool": (_boolean, "true or false"),
    "str": (_string, "a text"),
    "str | None": (_string, "a text"),
    "tuple[int, ...]": (_seconds, "whole numbers of seconds, like 15,60,300"),
    "tuple[str, ...]": (_words, "a list of texts"),
    "Mapping[str, str]": (_table, "a table of texts"),
}
"""How a field's annotation is read from TOML, a variable or a flag, and what it is called when it is not that."""
