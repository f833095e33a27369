"""A model file by its name and first bytes, as the loader Forge chooses for it would take it."""

from __future__ import annotations

from dataclasses import replace

from forgediag.formats import gguf, safetensors
from forgediag.formats.faults import fault
from forgediag.formats.impostor import SNIFF, recognise
from forgediag.formats.window import Window
from forgediag.model import Fault, FileFormat, Header, Safety

_ENDINGS: dict[str, FileFormat] = {"safetensors": "safetensors", "sft": "safetensors", "gguf": "gguf"}

_PICKLES = (b"PK\x03\x04", b"\x80")


def format_of(name: str) -> FileFormat:
    """The format Forge reads a file as: by the ending alone, and torch.load for any it does not know."""
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "pickle")


def examine(name: str, window: Window) -> Header | Fault:
    """The header of a file, or why Forge cannot load it.

    What Forge says of a file of a wrong kind was observed on Forge dfdcbab.

    Raises:
        OSError: the file cannot be read, or judging it takes more of it than the window gives.
    """
    return inspect(name, window)[0]


def inspect(name: str, window: Window) -> tuple[Header | Fault, Safety | None]:
    """As `examine`, with what loading the file would run; None for formats in which nothing can.

    Raises:
        OSError: as `examine`.
    """
    kind = format_of(name)
    if kind == "safetensors":
        return safetensors.read(window), None
    head = window.read(0, SNIFF)
    if kind == "gguf":
        return (gguf.read(window) if head.startswith(b"GGUF") else _not_gguf(head, window.size)), None
    from forgediag.formats import pickle  # noqa: PLC0415 - few have such files: their reader is not loaded for nothing

    reading = pickle.read(window)
    if isinstance(reading.found, Header) or head.startswith(_PICKLES):
        return reading.found, reading.safety
    known = _impostor(head, window.size)
    return (replace(known, forge_says=reading.found.forge_says) if known else reading.found), reading.safety


def _impostor(head: bytes, size: int) -> Fault | None:
    """What a file is that is no zip and no pickle; None where that is not sure."""
    if not _is_safetensors(head, size):
        return recognise(head, size)
    message = "the file's contents are a safetensors file, but its name says otherwise"
    return fault("named-wrong-safetensors", message, offset=0)


def _not_gguf(head: bytes, size: int) -> Fault:
    unknown = fault("gguf-magic", "the file does not begin as a GGUF file does", offset=0)
    says = "ValueError: GGUF magic invalid" if size else "ValueError: cannot mmap an empty file"
    return replace(recognise(head, size) or unknown, forge_says=says)


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size
