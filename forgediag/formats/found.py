"""Which command finds which fault."""

from __future__ import annotations

_AS_MADE = frozenset({"diffusers-part", "gguf-split", "gguf-type-forge", "dtype-newer-than-forge", "torchscript"})
_NAMED = frozenset({"download-leftover", "download-leftover-whole", "control-file"})
_PLACED = frozenset({"sft-not-listed", "corrupted-but-whole"})
_INSIDE = {
    "zero-stretch": "`doctor` for the selected files",
    "record-crc": "`doctor` and `models` for files that one of them has read",
}
_FOLDERS = frozenset({"diffusers-incomplete"})


def as_made(fault: str) -> bool:
    """Whether a file with this fault is as its maker left it, in the wrong place or for another program at most."""
    return fault in _AS_MADE or fault.startswith("misplaced-")


def found_by(fault: str) -> str:
    """The commands that tell a fault, as a phrase."""
    if fault in _INSIDE:
        return f"`lock`, `verify`, `hash` and the daemon's background reading; {_INSIDE[fault]}"
    if fault in _FOLDERS:
        return "`verify`, `models`, `doctor PATH`"
    if fault in _PLACED:
        return "`models`, `doctor`: why Forge does not list the file"
    if as_made(fault) or fault in _NAMED:
        return "`doctor`, `models`"
    return "`doctor`, `models`, `lock`, `verify`, the daemon"
