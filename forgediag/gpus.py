"""What is wanted of whoever samples GPUs, and waiting for the first look."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Protocol

from forgediag.model import Gap, Known, Nvml
from forgediag.profile.curve import Curve


class GpuSource(Protocol):
    """What the daemon wants of a sampler: the real one, or a simulated one for `demo`."""

    @property
    def stuck(self) -> Gap | None:
        """The gap that stands for everything while a driver call does not come back."""
        ...

    @property
    def lag(self) -> float | None:
        """Seconds the last sample came late, None before the first."""
        ...

    def start(self) -> None:
        """Begin sampling."""
        ...

    def stop(self) -> None:
        """End sampling, soon."""
        ...

    def job_running(self, running: bool, gpus: Collection[str] | None = None) -> None:  # noqa: FBT001 - a state
        """A generation began or ended, on these GPUs (UUIDs); None means that any may be its."""
        ...

    def snapshot(self) -> Known[Nvml]:
        """What is known now, without waiting."""
        ...

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        """Memory used on a card between two moments of the daemon's clock, in bytes."""
        ...


def first_look(gpus: GpuSource, seconds: float) -> Known[Nvml]:
    """What a sampler knows after its first look, waited for at most so long: where the driver hangs, a gap."""
    until = time.monotonic() + seconds
    nvml = gpus.snapshot()
    while isinstance(nvml, Gap) and nvml.kind == "starting" and time.monotonic() < until:
        time.sleep(0.005)
        nvml = gpus.snapshot()
    return nvml
