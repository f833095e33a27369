"""A simulated GPU: a memory curve that a simulated Forge drives; temperature and power follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal

from forgediag.model import MB

Phase = Literal["idle", "text_encode", "unet_load", "sampling", "vae_decode", "unload"]
"""As the simulated Forge tells them."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a phase does: Forge's memory goes to `level` MB within `ramp` seconds, with a peak in between.

    The peak adds `peak` MB from `peak_at` for `peak_seconds` after the phase began. `load` is the utilization 0..1.
    """

    level: int
    ramp: float
    load: float
    peak: int = 0
    peak_at: float = 0.0
    peak_seconds: float = 0.0


PHASES: dict[Phase, Shape] = {
    "idle": Shape(620, 0.2, 0.0),
    "text_encode": Shape(2380, 0.3, 0.35),
    "unet_load": Shape(5720, 1.2, 0.1),
    "sampling": Shape(6030, 0.1, 0.98),
    "vae_decode": Shape(6190, 0.05, 0.6, peak=2180, peak_at=0.06, peak_seconds=0.12),
    "unload": Shape(820, 0.4, 0.05),
}
"""SDXL at 1024x1024 in fp16: a CUDA context of 620 MB, the first kernels 200 more, text encoders 1560, UNet 4897,
activations 311, and a decode that takes 2178 MB for an instant (measured on an H100 with Forge's backend dfdcbab)."""

JOB: tuple[tuple[Phase, float], ...] = (
    ("text_encode", 0.8),
    ("unet_load", 1.4),
    ("sampling", 4.0),
    ("vae_decode", 0.4),
    ("unload", 0.6),
)
"""The phases of one image with their seconds."""

WARM_UP = 20.0
"""Seconds after which the temperature has gone 63 % of its way."""


class SimulatedGpu:
    """One card with a simulated Forge and another process on it. Bytes and seconds; safe from any thread.

    `lost` makes every call fail as a card that fell off the bus does; `wddm` leaves out what Windows does not tell:
    the memory of processes; `throttled` are reasons that hold its clocks down, as NVML's bits.
    """

    def __init__(
        self,
        *,
        name: str = "NVIDIA GeForce RTX 4070 (simulated)",
        total: int = 12282 * MB,
        forge_pid: int = 4711,
        other: tuple[int, int] = (1999, 780 * MB),
        uuid: str = "GPU-51b1a7ed-4070-4000-8000-000000000000",
        clock: Clock = time.perf_counter,
    ) -> None:
        """Begin idle.

        Args:
            name: what NVML calls the card.
            total: its memory.
            forge_pid: the process that Forge's memory belongs to.
            other: pid and memory of a second process.
            uuid: the card's identity.
            clock: seconds.
        """
        self.name, self.total, self.uuid, self.reserved = name, total, uuid, 268 * MB
        self.forge_pid, self.other = forge_pid, other
        self.lost = self.wddm = False
        self.throttled = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._phase: Phase = "idle"
        self._began, self._peaks = clock(), True
        self._from = self._to = float(PHASES["idle"].level * MB)
        self._warmth = 0.0
        self._coming: list[tuple[float, Phase]] = []
        self._holds: list[tuple[float, int]] = []

    def set_phase(self, phase: Phase, used: int | None = None) -> None:
        """Let Forge be in a phase from now on; what `start_job` had planned is dropped.

        Args:
            phase: the phase.
            used: bytes Forge's process holds in it; None is what PHASES says, its peak included.
        """
        with self._lock:
            self._coming.clear()
            self._enter(phase, self._clock(), used)

    def start_job(self, job: Sequence[tuple[Phase, float]] = JOB) -> float:
        """Go through phases, each for its seconds, and then be idle. Returns how long that takes."""
        with self._lock:
            at = self._clock()
            self._coming.clear()
            for phase, seconds in job:
                self._coming.append((at, phase))
                at += seconds
            self._coming.append((at, "idle"))
        return sum(seconds for _, seconds in job)

    def hold(self, size: int, seconds: float) -> None:
        """Let Forge hold `size` bytes more for a while: a short peak."""
        with self._lock:
            self._holds.append((self._clock() + seconds, size))

    @property
    def phase(self) -> Phase:
        """The phase Forge is in."""
        with self._lock:
            self._advance()
            return self._phase

    def forge_memory(self) -> int:
        """Bytes Forge's process holds now."""
        with self._lock:
            now = self._advance()
            shape, age = PHASES[self._phase], now - self._began
            size = self._at(age)
            if self._peaks and shape.peak_at <= age < shape.peak_at + shape.peak_seconds:
                size += shape.peak * MB
            self._holds = [hold for hold in self._holds if hold[0] > now]
            size += sum(held for _, held in self._holds)
        return min(int(size), self.total - self.reserved - self.other[1])

    def load(self) -> float:
        """The utilization now, 0..1."""
        return PHASES[self.phase].load

    def warmth(self) -> float:
        """How warm the card is, from 0 (idle for long) to 1 (busy for long)."""
        with self._lock:
            return self._warm(self._advance())

    def _advance(self) -> float:
        now = self._clock()
        while self._coming and self._coming[0][0] <= now:
            at, phase = self._coming.pop(0)
            self._enter(phase, at)
        return now

    def _enter(self, phase: Phase, at: float, used: int | None = None) -> None:
        self._warmth = self._warm(at)
        self._from = self._at(at - self._began)
        self._phase, self._began, self._peaks = phase, at, used is None
        self._to = float(PHASES[phase].level * MB if used is None else used)

    def _at(self, age: float) -> float:
        return self._from + (self._to - self._from) * min(1.0, age / PHASES[self._phase].ramp)

    def _warm(self, at: float) -> float:
        load = PHASES[self._phase].load
        return load + (self._warmth - load) * exp((self._began - at) / WARM_UP)
