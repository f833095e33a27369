"""A generation as it was seen from outside: its phases, what each took, and how the card's memory was shared out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["done", "interrupted", "oom", "failed", "unknown"]

PhaseName = Literal["load", "text_encode", "unet_load", "sample", "vae_encode", "vae_decode", "unload", "other"]

Basis = Literal["read", "computed", "inferred"]
"""How a number is known: read from the driver or Forge, computed from what was read, or inferred from a curve."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a job. `start` and `end` are Unix seconds, everything else bytes; None where it is not known.

    `device_peak` is the most the driver said was used on the card, `device_start` what it said at the beginning;
    `above_weights` is the part of the peak that no resident weights explain. `swapped` are weights that did not fit and
    are copied in at every step; `moved` went to the card in this phase and `freed` left it, as Forge's console tells.
    `seen_in` says which source told the limits of the phase.
    """

    name: PhaseName
    start: float
    end: float
    seen_in: Literal["log", "curve", "progress"]
    device_start: int | None = None
    device_peak: int | None = None
    above_weights: int | None = None
    swapped: int | None = None
    resident_peak: int | None = None
    moved: int | None = None
    freed: int | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Job:
    """A finished generation. Prompts and images are never part of it.

    `pixels` are width times height times batch, where the memory Forge asked for tells them. `step_seconds` holds each
    sampling step's time as far as it was seen. `settings` are the memory settings in effect; `departures` tell of
    loads that went otherwise than Forge's memory manager is known to work.
    """

    target: str
    started: float
    ended: float | None
    outcome: Outcome
    model: str | None = None
    family: str | None = None
    pixels: int | None = None
    batch: int | None = None
    steps: int | None = None
    sampler: str | None = None
    error: str | None = None
    settings: tuple[tuple[str, str | float], ...] = ()
    phases: tuple[Phase, ...] = ()
    step_seconds: tuple[float, ...] = ()
    resident_start: int | None = None
    resident_end: int | None = None
    device_start: int | None = None
    device_end: int | None = None
    departures: tuple[str, ...] = ()


PartName = Literal["driver", "context", "weights", "activations", "cache", "others", "free", "unexplained"]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of the card held by one thing; `component` names whose weights they are."""

    name: PartName
    size: int
    basis: Basis
    component: str | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The card's memory shared out at one moment (`at`, Unix seconds): the parts add up to `total` bytes."""

    at: float
    total: int
    parts: tuple[Part, ...] = field(default=())
