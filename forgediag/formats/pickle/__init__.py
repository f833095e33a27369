"""Pickle files (.ckpt, .pt, .bin, .pth): their tensors, and what loading them would run. Nothing is ever unpickled.

Forge executes whatever such a file asks for: its own protection is switched off (Forge dfdcbab, the last line of
modules/safe.py) and its loader hands torch a pickle module of its own (backend/utils.py), so that torch's
`weights_only` does not apply either.
"""

from __future__ import annotations

from forgediag.formats.pickle.legacy import read_legacy
from forgediag.formats.pickle.reading import Reading
from forgediag.formats.pickle.zipped import bad_records, places, read_zip
from forgediag.formats.window import Window
from forgediag.model import Fault, Header, Safety

__all__ = ["Reading", "bad_records", "places", "read", "read_pickle", "scan"]


def read(window: Window) -> Reading:
    """Header and safety in one pass.

    Raises:
        OSError: the file cannot be read.
    """
    return read_zip(window) if window.read(0, 4) == b"PK\x03\x04" else read_legacy(window)


def read_pickle(window: Window) -> Header | Fault:
    """The tensors of a file by name, or why torch cannot load it.

    Raises:
        OSError: the file cannot be read.
    """
    return read(window).found


def scan(window: Window) -> Safety:
    """What loading the file would import and call beyond what model files need.

    Raises:
        OSError: the file cannot be read.
    """
    return read(window).safety
