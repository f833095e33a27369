"""What the daemon wants of whoever samples GPUs."""

from __future__ import annotations

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
