"""TOML read by the standard library, or by tomli on Python 3.10, imported only where something is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeGuard


class TomlError(ValueError):
    """A text is not TOML."""


def loads(text: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        TomlError: it is none.
    """
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - most commands read no TOML
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from error


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list, of anything."""
    return isinstance(value, list)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a table, of anything."""
    return isinstance(value, Mapping)
