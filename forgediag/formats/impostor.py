"""Files that are not what their name says: a web page, an error answer, a git-lfs pointer, zeros, another format."""

from __future__ import annotations

import re

from forgediag.formats.faults import fault
from forgediag.model import Fault

SNIFF = 512
"""Bytes from the start of a file that are enough to recognise any of these."""

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--", b"<error")
_LATER_PICKLES = tuple(bytes((0x80, version)) for version in range(2, 6))
_PACKED = (b".safetensors", b".ckpt", b".gguf", b".pt", b".pth", b".bin", b".txt", b".json", b".md")
"""Endings of what people pack; torch's own archives begin with a record without one, or data.pkl."""
_ARCHIVES = ((b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "RAR"), (b"\x28\xb5\x2f\xfd", "zstd"))


def recognise(head: bytes, size: int) -> Fault | None:
    """What a file is that cannot be the model its name promises; None when nothing known fits.

    Args:
        head: the first bytes of the file, at least `SNIFF` of them if it has that many.
        size: the file's size in bytes.
    """
    if size == 0:
        return fault("empty", "the file is empty (0 bytes)", offset=0)
    if not any(head):
        return fault(
            "zeros",
            "the file begins with zeros: the space was reserved but the download never wrote it",
            offset=0,
        )
    return _text(head, size) or _other_format(head)


def _text(head: bytes, size: int) -> Fault | None:
    if head.startswith(_LFS):
        said = _LFS_SIZE.search(head)
        real = f"; the real file has {int(said[1]):,} bytes" if said else ""
        return fault("lfs-pointer", f"the file is a git-lfs pointer of {size:,} bytes, not the model{real}", offset=0)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith(_MARKUP):
        message = "the file is a web page: the server answered with a log-in or error page instead of the model"
        return fault("html-page", message, offset=0)
    text = head[:SNIFF].strip()
    if not _printable(text):
        return None
    if start.startswith((b"{", b"[")):
        return fault("json-answer", f"the file is a server's answer in JSON, not a model: {_quote(text)}", offset=0)
    return fault("text", f"the file is plain text, not a model: {_quote(text)}", offset=0)


def _other_format(head: bytes) -> Fault | None:
    if head.startswith(b"GGUF"):
        return _misnamed("gguf", "a GGUF file")
    if head.startswith(b"PK\x03\x04") and head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(_PACKED):
        return fault("archive", "the file is a zip archive with the model inside", offset=0)
    if head.startswith(b"PK\x03\x04"):
        return _misnamed("zip", "a zip archive, as torch.save writes them")
    if head.startswith(_LATER_PICKLES):
        return _misnamed("pickle", "a Python pickle, as old torch.save versions wrote them")
    for magic, name in _ARCHIVES:
        if head.startswith(magic):
            return fault("archive", f"the file is a {name} archive, not a model", offset=0)
    return None


def _misnamed(kind: str, what: str) -> Fault:
    return fault(f"named-wrong-{kind}", f"the file's contents are {what}, but its name says otherwise", offset=0)


def _printable(text: bytes) -> bool:
    return bool(text) and all(byte >= 32 or byte in b"\t\r\n" for byte in text) and b"\x7f" not in text


def _quote(text: bytes) -> str:
    line = " ".join(text.decode("utf-8", "replace").split())
    return f'"{line[:80]}…"' if len(line) > 80 else f'"{line}"'
