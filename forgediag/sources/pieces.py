"""Models in several files: whether the files that an index or a name promises lie beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from forgediag.formats.diffusers import INDEX_LIMIT, incomplete
from forgediag.formats.gguf import piece
from forgediag.formats.gguf.split import judge, pieces
from forgediag.model import Fault
from forgediag.sources.window import opened

_WEIGHTS = (".safetensors", ".bin", ".pt", ".ckpt", ".msgpack", ".onnx", ".index.json")
_CONFIG = "config.json"
"""diffusers and transformers put it beside weights alone: schedulers, tokenizers and the like have other names."""


def incomplete_folders(indexes: Iterable[str]) -> Mapping[str, Fault]:
    """The indexes whose pieces are not all there, by path. One that cannot be read says nothing."""
    found: dict[str, Fault] = {}
    for index in indexes:
        try:
            with opened(index) as window:
                raw = window.read(0, INDEX_LIMIT) if window.size <= INDEX_LIMIT else b"{}"
            present = set(_present(os.path.dirname(index)))  # noqa: PTH120 - paths are strings here
        except OSError:
            continue
        if (fault := incomplete(raw, present)) is not None:
            found[index] = fault
    return found


def split(path: str, fault: Fault | None) -> Fault | None:
    """A file's fault: of a piece of a split file, with what lies beside it, which is nothing to remember."""
    if fault is None or fault.id != "gguf-split":
        return fault
    folder, name = os.path.split(path)
    own = _piece(path)
    if own is None:  # it changed a moment ago
        return fault
    found: dict[str, tuple[int, int] | None] = {}
    for each in pieces(name):
        with suppress(OSError):
            found[each] = _piece(os.path.join(folder, each))  # noqa: PTH118 - paths are strings here
    return judge(name, own, found)


def _piece(path: str) -> tuple[int, int] | None:
    with opened(path) as window:
        return piece(window)


def _present(folder: str) -> Iterator[str]:
    """Files that are not empty, and folders with what a component needs."""
    with os.scandir(folder) as items:
        for item in items:
            if _component(item.path) if item.is_dir() else _filled(item):
                yield item.name


def _component(folder: str) -> bool:
    with os.scandir(folder) as items:
        names = {item.name for item in items if _filled(item)}
    return any(name.endswith(_WEIGHTS) for name in names) if _CONFIG in names else bool(names)


def _filled(item: os.DirEntry[str]) -> bool:
    return item.is_file() and item.stat().st_size > 0
