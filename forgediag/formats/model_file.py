"""A model file by its name and first bytes, as the loader Forge chooses for it would take it."""

from __future__ import annotations

from dataclasses import replace

from forgediag.formats import gguf, safetensors
from forgediag.formats.faults import fault
from forgediag.formats.impostor import SNIFF, recognise
from forgediag.formats.window import Window
from forgediag.model import Fault, FileFormat, Header

_ENDINGS: dict[str, FileFormat] = {"safetensors": "safetensors", "sft": "safetensors", "gguf": "gguf"}


def format_of(name: str) -> FileFormat:
    """The format Forge reads a file as: by the ending alone, and torch.load for any it does not know."""
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "pickle")


def examine(name: str, window: Window) -> Header | Fault:
    """The header of a file, or why Forge cannot load it.

    A pickle is only recognised by its first bytes: its header here has no tensors. What Forge says of a file of a wrong
    kind was observed on Forge dfdcbab.

    Raises:
        OSError: the file cannot be read, or judging it takes more of it than the window gives.
    """
    kind = format_of(name)
    if kind == "safetensors":
        return safetensors.read(window)
    head = window.read(0, SNIFF)
    if kind == "gguf":
        return gguf.read(window) if head.startswith(b"GGUF") else _not_gguf(head, window.size)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return Header("pickle", {})
    return _torch_refuses(head, window.size) or Header("pickle", {})


def _torch_refuses(head: bytes, size: int) -> Fault | None:
    """Why torch.load cannot read a file that is no zip and no pickle; None where that is not sure."""
    if _is_safetensors(head, size):
        message = "the file's contents are a safetensors file, but its name says otherwise"
        found: Fault | None = fault("named-wrong-safetensors", message, offset=0)
    else:
        found = recognise(head, size)
    says = f"UnpicklingError: invalid load key, {chr(head[0])!r}." if head else "EOFError: Ran out of input"
    return None if found is None else replace(found, forge_says=says)


def _not_gguf(head: bytes, size: int) -> Fault:
    unknown = fault("gguf-magic", "the file does not begin as a GGUF file does", offset=0)
    says = "ValueError: GGUF magic invalid" if size else "ValueError: cannot mmap an empty file"
    return replace(recognise(head, size) or unknown, forge_says=says)


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size
