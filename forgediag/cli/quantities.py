"""Quantities on the command line: memory, pixels, compute capabilities, storage types."""

from __future__ import annotations

import re

from forgediag.cli import Failure
from forgediag.forge.dtypes import SIZE, storage_name
from forgediag.formats.gguf import BLOCKS

_UNITS = {"": 1.0, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024}
_MEMORY = re.compile(r"([-+]?\d+(?:\.\d+)?) ?([mgt]?)(?:i?b)?", re.IGNORECASE)
_PIXELS = re.compile(r"(\d{1,6}) ?[x*,] ?(\d{1,6})", re.IGNORECASE)
_CAPABILITY = re.compile(r"(\d{1,2})\.(\d)")


def megabytes(name: str, text: str) -> float:
    """MB, from "8GiB", "8GB" (the same: cards are sold that way), "8192MB" or "8192".

    Raises:
        Failure: it is none of these.
    """
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise Failure(f"{name} {text!r} is no amount of memory; write 8GiB, 8192MB or 8192")
    return float(match[1]) * _UNITS[match[2].lower()]


def memory_of_a_machine(name: str, text: str) -> float:
    """MB of a card or a host, which nobody has less than 256 of.

    Raises:
        Failure: no amount, or one that was meant in GB.
    """
    mb = megabytes(name, text)
    if mb < 256:
        guess = f"; did you mean {mb:g}GiB?" if mb > 0 else ""
        raise Failure(f"{name} {text}: {mb:g} MB is too small for any model{guess}")
    return mb


def pixels(name: str, text: str) -> tuple[int, int]:
    """Width and height, from "1024x1024".

    Raises:
        Failure: it is not that.
    """
    match = _PIXELS.fullmatch(text.strip())
    if match is None:
        raise Failure(f"{name} {text!r} is no size; write WIDTHxHEIGHT, for example 1024x1024")
    return int(match[1]), int(match[2])


def capability(name: str, text: str) -> tuple[int, int]:
    """A compute capability, from "8.6".

    Raises:
        Failure: it is not that.
    """
    match = _CAPABILITY.fullmatch(text.strip())
    if match is None:
        raise Failure(f"{name} {text!r} is no compute capability; write 8.6")
    return int(match[1]), int(match[2])


def storage(name: str, text: str) -> str:
    """A storage type under torch's name, from any of its spellings; GGUF as "gguf:Q8_0".

    Raises:
        Failure: a type Forge cannot store a model in.
    """
    if text.lower().startswith("gguf:") and (kind := text[5:].upper()) in BLOCKS:
        return f"gguf:{kind}"
    found = storage_name(_AS_FORGE.get(text.lower(), text))
    if found is None:
        return "Automatic"
    if found in _STORED:
        return found
    known = ", ".join(sorted(_STORED))
    raise Failure(f"{name} {text!r} is no storage type of Forge's; there are Automatic, {known} and gguf:Q8_0")


_STORED = {name for name in SIZE if name.startswith(("float", "bfloat")) and name != "float64"} | {"nf4", "fp4"}
_AS_FORGE = {"f16": "F16", "f32": "F32", "bf16": "BF16", "f8_e4m3": "F8_E4M3", "f8_e5m2": "F8_E5M2", "e4m3": "F8_E4M3"}
