"""A model file by its name and first bytes, as the loader Forge chooses for it would take it."""

from __future__ import annotations

from dataclasses import replace

from forgediag.formats import gguf, safetensors
from forgediag.formats.impostor import AGAIN, SNIFF, recognise
from forgediag.model import Fault, FileFormat, Header

_ENDINGS: dict[str, FileFormat] = {"safetensors": "safetensors", "sft": "safetensors", "gguf": "gguf"}


GGUF_HEADER = 4 * 1024 * 1024
"""Bytes of a GGUF file that are read: the 780 tensors of a Flux take some 70 KB, a tokenizer can add a few MB."""


def format_of(name: str) -> FileFormat:
    """The format Forge reads a file as: by the ending alone, and torch.load for any it does not know."""
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "pickle")


def needed(name: str, first: bytes, size: int) -> int:
    """How many bytes from the start `examine` wants, given the first `SNIFF` and the file's size."""
    kind = format_of(name)
    if kind == "safetensors":
        return safetensors.needed(first, size)
    return min(size, GGUF_HEADER if kind == "gguf" and first.startswith(b"GGUF") else SNIFF)


def examine(name: str, head: bytes, size: int) -> Header | Fault:
    """The header of a file, or why Forge cannot load it.

    A pickle is only recognised by its first bytes: its header here has no tensors, as that of a GGUF file longer than
    what is read. What Forge says of a file of a wrong kind was observed on Forge dfdcbab.
    """
    kind = format_of(name)
    if kind == "safetensors":
        return safetensors.read(head, size)
    if kind == "gguf":
        return _gguf(head, size) if head.startswith(b"GGUF") else _not_gguf(head, size)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return Header("pickle", {})
    return _torch_refuses(head, size) or Header("pickle", {})


def _gguf(head: bytes, size: int) -> Header | Fault:
    try:
        return gguf.read_gguf(head)
    except gguf.GgufError as error:
        if error.short and len(head) < size:
            return Header("gguf", {})
        return Fault("gguf-header", str(error), AGAIN)


def _torch_refuses(head: bytes, size: int) -> Fault | None:
    """Why torch.load cannot read a file that is no zip and no pickle; None where that is not sure."""
    if _is_safetensors(head, size):
        fault: Fault | None = Fault(
            "named-wrong-safetensors",
            "the file's contents are a safetensors file, but its name says otherwise",
            ("Rename it so that it ends in .safetensors: Forge chooses its loader by the ending alone.",),
        )
    else:
        fault = recognise(head, size)
    says = f"UnpicklingError: invalid load key, {chr(head[0])!r}." if head else "EOFError: Ran out of input"
    return None if fault is None else replace(fault, forge_says=says)


def _not_gguf(head: bytes, size: int) -> Fault:
    unknown = Fault("gguf-magic", "the file does not begin as a GGUF file does", AGAIN, offset=0)
    says = "ValueError: GGUF magic invalid" if size else "ValueError: cannot mmap an empty file"
    return replace(recognise(head, size) or unknown, forge_says=says)


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size
