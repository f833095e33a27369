"""What a file's name says about how far its download got."""

from __future__ import annotations

import re

LEFTOVERS = (".part", ".partial", ".tmp", ".crdownload", ".download", ".opdownload", ".incomplete", ".!ut")
"""Endings of unfinished downloads: browsers, Forge itself (.tmp) and huggingface_hub (.incomplete)."""

CORRUPTED = ".corrupted"
"""What Forge adds to the name of a file whose load failed (Forge dfdcbab, modules_forge/patch_basic.py)."""

CONTROL = ".aria2"

_BLOB = re.compile(r"(?:[0-9a-f]{64}|[0-9a-f]{40})\Z")


def working_ending(name: str) -> str | None:
    """The ending that marks an unfinished download, as it is written; None for any other name."""
    low = name.lower()
    return next((name[-len(ending) :] for ending in LEFTOVERS if low.endswith(ending)), None)


def is_blob(name: str) -> bool:
    """Whether a name is that of a blob in the Hugging Face cache, which has no ending: a snapshot's link does."""
    return _BLOB.match(re.split(r"[\\/]", name)[-1]) is not None


def blob_ending(head: bytes) -> str:
    """The ending a blob's first bytes ask for."""
    if head.startswith(b"GGUF"):
        return ".gguf"
    return ".safetensors" if head[8:9] == b"{" else ".ckpt"
