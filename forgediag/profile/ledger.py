"""The card's memory shared out: driver, context, weights by component, activations, cache, others, free."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from forgediag.forge.log import Event, Loaded, Started, Unloaded
from forgediag.model import MB, CudaMemory, GpuMemory, Ledger, Part
from forgediag.profile.median import median

_READINGS = 31
"""Readings of the context that are kept; their median stands, for driver and Forge are not read at one instant."""

_COMPONENTS = 16
"""Components followed at once; Forge has three, a request with many ControlNets some more."""


@dataclass(slots=True)
class Weights:
    """Weights on the card by component, in bytes, followed through Forge's console."""

    placed: dict[str, int] = field(default_factory=dict[str, int])

    def feed(self, event: Event) -> None:
        """Take one event. A start empties the card; a load without a name (on a CPU) places nothing there."""
        if isinstance(event, Started):
            self.placed.clear()
        elif isinstance(event, Unloaded):
            for model in event.models:
                self.placed.pop(model, None)
        elif isinstance(event, Loaded) and event.target is not None and len(self.placed) < _COMPONENTS:
            self.placed[event.target] = int(event.gpu * MB)


class Context:
    """What a process holds on the card beside torch's own segments: CUDA's context, its kernels, cuBLAS.

    It is the process's memory less what torch has reserved (620 MB and 198 MB of first kernels seen on an H100).
    """

    def __init__(self) -> None:
        self._readings: deque[int] = deque(maxlen=_READINGS)

    def feed(self, process: int, reserved: int) -> None:
        """Take the process's memory and torch's reserved, read as near to each other as can be, outside of a job."""
        if process >= reserved > 0:
            self._readings.append(process - reserved)

    @property
    def size(self) -> int | None:
        """Bytes; None before the first reading."""
        return int(median(self._readings)) if self._readings else None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is known of one moment. `process` is Forge's part of the card; None under WDDM, which does not tell it.

    `torch` is what Forge answered last, None where it does not; `base` what the process holds beside torch's segments.
    """

    at: float
    memory: GpuMemory
    process: int | None = None
    torch: CudaMemory | None = None
    base: int | None = None
    weights: Mapping[str, int] = field(default_factory=dict[str, int])


def ledger(held: Holdings) -> Ledger:
    """The parts, adding up to the card's total exactly: what no source explains is named `unexplained`.

    With torch's answer: cache is reserved less allocated, activations allocated less weights. Without one, what is left
    beside the weights is inferred to be activations and cache together, and called cache.
    """
    memory = held.memory
    parts = [Part("free", memory.free, "read")]
    if memory.reserved is not None:
        parts.append(Part("driver", memory.reserved, "read"))
    own = memory.used if held.process is None else min(held.process, memory.used)
    if held.process is not None:
        parts.append(Part("others", memory.used - own, "read"))
    parts += _own(own, held)
    rest = memory.total - sum(part.size for part in parts)
    if rest:
        parts.append(Part("unexplained", rest, "inferred"))
    return Ledger(held.at, memory.total, tuple(part for part in parts if part.size))


def _own(own: int, held: Holdings) -> list[Part]:
    """The process's own memory, adding up to `own`."""
    torch = held.torch
    reserved = own - held.base if held.base is not None else torch.reserved if torch is not None else own
    reserved = max(0, min(own, reserved))
    parts = [Part("context", own - reserved, "computed" if held.base is not None else "inferred")]
    left = reserved
    for component, size in held.weights.items():
        taken = min(size, left)
        parts.append(Part("weights", taken, "read", component))
        left -= taken
    if torch is not None:
        working = max(0, min(left, torch.allocated - sum(held.weights.values())))
        parts.append(Part("activations", working, "computed"))
        left -= working
    parts.append(Part("cache", left, "computed" if torch is not None else "inferred"))
    return parts
