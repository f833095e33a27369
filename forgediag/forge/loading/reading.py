"""What Forge prints and renames when a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import Fault

MISSING = "file-missing"
"""The id of the fault of a file that is not there: Forge cannot rename it."""

CORRUPTED = ".corrupted"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The last line of the first traceback, the lines of the wrapped error, and the files moved away."""

    cause: str | None
    printed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()


def missing(path: str) -> Fault:
    """The fault of a file that does not exist."""
    return Fault(
        MISSING,
        "the file does not exist",
        ("Put the file back, or select another one.",),
        forge_says=f'FileNotFoundError: No such file or directory: "{path}"',
    )


def unreadable(path: str, fault: Fault) -> Unreadable:
    """What comes of reading a faulty file.

    Whatever goes wrong in safetensors' or torch's loader, Forge moves the file to NAME.corrupted, over an older one
    of that name; its GGUF reader is not wrapped (Forge dfdcbab, modules_forge/patch_basic.py).
    """
    if fault.forge_says is None:
        return Unreadable(None)
    cause = _with_type(fault.forge_says)
    if path.lower().endswith(".gguf"):
        return Unreadable(cause)
    text = cause.split(": ", 1)[1]
    if fault.id == MISSING:
        return Unreadable(cause, (f"ValueError: {text}",))
    lines = (
        f"ValueError: {text}",
        f"File corrupted: {path} ",
        f"Forge has tried to move the corrupted file to {path}{CORRUPTED} ",
        "You may try again now and Forge will download models again. ",
    )
    return Unreadable(cause, lines, (path,))


def _with_type(says: str) -> str:
    if says.startswith("Error while deserializing header"):
        return f"safetensors_rust.SafetensorError: {says}"
    return f"_pickle.{says}" if says.startswith("UnpicklingError") else says
