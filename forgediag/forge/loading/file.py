"""A file Forge is told to load."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import Fault, Header


@dataclass(frozen=True, slots=True)
class File:
    """Its path as Forge writes it, and its header or what is wrong with it."""

    path: str
    found: Header | Fault
