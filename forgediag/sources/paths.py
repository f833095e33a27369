"""Forge's paths where this machine has them: a container's or another system's prefix replaced by ours."""

from __future__ import annotations

import os
from collections.abc import Mapping


def local_path(path: str, prefixes: Mapping[str, str]) -> str:
    r"""Where a path that Forge tells lies on this machine.

    The longest prefix of `prefixes` (Forge's → ours) that ends at a separator counts. `/` and `\` are the same, and
    a path with a drive letter is compared as Windows does, without regard to case. Without a fitting prefix the
    path stays as it is.
    """
    parts = _parts(path)
    best: tuple[int, str] | None = None
    for theirs, ours in prefixes.items():
        prefix = _parts(theirs)
        if _folded(parts[: len(prefix)]) == _folded(prefix) and (best is None or len(prefix) > best[0]):
            best = len(prefix), ours
    if best is None:
        return path
    return os.path.join(best[1], *parts[best[0] :])  # noqa: PTH118 - a plain text, 2000 times a minute


def _parts(path: str) -> list[str]:
    parts = path.replace("\\", "/").split("/")
    return [*parts[:1], *(part for part in parts[1:] if part)]


def _folded(parts: list[str]) -> list[str]:
    windows = bool(parts) and len(parts[0]) == 2 and parts[0][1] == ":"
    return [part.casefold() for part in parts] if windows else parts
