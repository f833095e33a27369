"""A verdict on its way up: why safetensors refuses a file."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from forgediag.formats.faults import fault
from forgediag.model import Fault

Entry = tuple[str, tuple[int, ...], int, int]
"""A tensor's dtype, shape, and where its data begins and ends behind the header."""

SAYS = "Error while deserializing header: "
UNREAD = "InvalidHeaderDeserialization"
"""What safetensors 0.4.2 prints for any header that is not what it expects."""


class Refused(Exception):  # noqa: N818 - not an error of ours
    """Why safetensors refuses a file: the name 0.4.2 prints and a fault that explains it."""

    def __init__(self, printed: str, found: Fault) -> None:
        super().__init__(printed)
        self.fault = replace(found, forge_says=SAYS + printed)


def bad(message: str) -> NoReturn:
    """Refuse a header that is not the JSON it must be."""
    raise Refused(UNREAD, fault("header-json", message, offset=8))
