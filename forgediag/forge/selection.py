"""Which listed checkpoint and modules Forge's options mean."""

from __future__ import annotations

import re

from forgediag.model import Checkpoint, Listing, Module, Options

_HASH = re.compile(r"\s*\[[0-9a-fA-F]{8,64}\]$")


def base_name(path: str) -> str:
    """The last part of a path, whichever system wrote it."""
    return re.split(r"[\\/]", path)[-1]


def checkpoint_of(listing: Listing, wanted: str) -> Checkpoint | None:
    """The checkpoint an option's text means: a title, a name with or without ending or hash, or a hash.

    Forge stores the text as it was written and knows each checkpoint by all of these (observed on Forge dfdcbab);
    it tells upper from lower case. A title gains its `[hash]` when the file was loaded once, so a stored text with
    a hash means the title without one too.
    """
    bare = _HASH.sub("", wanted)
    for checkpoint in listing.checkpoints:
        if wanted == checkpoint.title or wanted in _hashes(checkpoint.sha256):
            return checkpoint
    for checkpoint in listing.checkpoints:
        title = _HASH.sub("", checkpoint.title)
        names = (title, _stem(title), checkpoint.name, base_name(checkpoint.path), _stem(base_name(checkpoint.path)))
        if bare in names:
            return checkpoint
    return None


def module_of(listing: Listing, wanted: str) -> Module | None:
    """The module an entry of `forge_additional_modules` means: only the file's name counts (Forge dfdcbab)."""
    name = base_name(wanted)
    return next((module for module in listing.modules if base_name(module.path) == name), None)


def selected_paths(listing: Listing, options: Options) -> tuple[str, ...]:
    """The paths of the selected checkpoint and modules, as far as they are listed."""
    checkpoint = checkpoint_of(listing, options.checkpoint) if options.checkpoint else None
    found = (checkpoint, *(module_of(listing, name) for name in options.modules))
    return tuple(item.path for item in found if item is not None)


def _hashes(sha256: str | None) -> tuple[str, ...]:
    return (sha256, sha256[:10]) if sha256 else ()


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
