"""Whether Forge's memory manager did what is known of it: what it printed against the same rules worked out here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forgediag.forge.log import Loaded
from forgediag.forge.memory.swap import swap_limit
from forgediag.model import MB

ROUNDING = 0.1
"""MB by which sums of printed numbers may differ: each is rounded to 0.01. (776 of 776 recorded lines agree.)"""

LAYER = 512.0
"""MB by which the weights on the card may miss their limit: whole layers are placed, and extras are never swapped.
(Recorded: 102 below to 72 above, with a load from nothing.)"""


def departures(loads: Iterable[Loaded]) -> tuple[str, ...]:
    """Where a load was not as expected, one line each; nothing for a Forge that works as the planner takes it to."""
    return tuple(line for load in loads if load.target is not None for line in _departures(load))


def _departures(load: Loaded) -> Iterator[str]:
    remaining = load.free - load.required - load.inference
    if abs(remaining - load.remaining) > ROUNDING:
        yield f"{load.target}: {remaining:.0f} MB should remain free, Forge says {load.remaining:.0f} MB"
    if load.remaining < 0 and load.location is None:
        yield f"{load.target}: does not fit by {-load.remaining:.0f} MB, but Forge put all of it on the card"
    if load.remaining >= 0 and load.location is not None:
        yield f"{load.target}: fits with {load.remaining:.0f} MB to spare, but Forge swaps {load.swapped:.0f} MB"
    if load.location is not None and load.remaining < 0 and load.previous == 0:
        limit = swap_limit(load.free * MB, load.inference * MB) / MB
        if abs(load.gpu - limit) > LAYER and load.gpu + load.swapped > LAYER:
            yield f"{load.target}: some {limit:.0f} MB should be on the card, Forge put {load.gpu:.0f} MB there"
