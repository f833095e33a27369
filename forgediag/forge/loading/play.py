"""What every play of a load shares: tensors in Forge's order, and the ways to fail before any part is built."""

from __future__ import annotations

from dataclasses import replace

from forgediag.forge.loading.overlay import MaskedError
from forgediag.forge.loading.reading import unreadable
from forgediag.forge.loading.reasons import Case, explained
from forgediag.forge.state_dict import StateDict
from forgediag.model import Fault, Header, LoadError, Prediction

UNRECOGNISED = "Failed to recognize model type!"
"""Forge answers this whatever goes wrong until the files are split into parts (Forge dfdcbab, backend/loader.py)."""


def ordered(header: Header, *, by_name: bool = True) -> StateDict:
    """The tensors as Forge's dict has them."""
    if by_name and header.format == "safetensors":
        return dict(sorted(header.tensors.items()))
    return dict(header.tensors)


def refused(case: Case, path: str, fault: Fault) -> Prediction:
    """A file that Forge cannot read."""
    reading = unreadable(path, fault)
    error = LoadError("ValueError", UNRECOGNISED, reading.cause)
    return explained(
        replace(
            case,
            phase="read",
            error=error,
            printed=reading.printed,
            renamed=reading.renamed,
            subject=path,
            fault=fault,
        )
    )


def masked(case: Case, error: MaskedError, path: str) -> Prediction:
    """A file whose names Forge stumbles over."""
    told = LoadError("ValueError", UNRECOGNISED, str(error))
    return explained(replace(case, phase="recognise", error=told, subject=path))
