"""Files that Forge put aside as NAME.corrupted beside the listed ones: they may be whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice

from forgediag.model import Fault, Header, Renamed

ENDING = ".corrupted"
FOLDERS, ENTRIES, FILES = 40, 5000, 20
"""Most folders looked into, entries read of each, and files told of."""


def renamed(paths: Iterable[str], header: Callable[[str], Header | Fault]) -> tuple[Renamed, ...]:
    """The files put aside in the folders of these (local) paths.

    Args:
        paths: local paths of listed files.
        header: reads a file as the loader that its real name chooses would.
    """
    found: list[Renamed] = []
    for folder in islice(dict.fromkeys(os.path.dirname(path) for path in paths), FOLDERS):  # noqa: PTH120
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in islice(entries, ENTRIES) if entry.name.endswith(ENDING)]
        except OSError:
            continue
        found += [_look(os.path.join(folder, name), header) for name in sorted(names)]  # noqa: PTH118
    return tuple(found[:FILES])


def _look(path: str, header: Callable[[str], Header | Fault]) -> Renamed:
    whole: bool | None = None
    size = 0
    try:
        size = os.path.getsize(path)  # noqa: PTH202
        read = header(path)
        whole = None if isinstance(read, Header) and not read.tensors else isinstance(read, Header)
    except OSError:
        pass
    return Renamed(path, size, whole, os.path.exists(path.removesuffix(ENDING)))  # noqa: PTH110
