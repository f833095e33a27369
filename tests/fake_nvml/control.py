"""Drives a fake libnvidia-ml.so.1 from outside, in this process or another: state, spikes, hangs, counters."""

from __future__ import annotations

import mmap
import re
import struct
import time
from pathlib import Path

HEADER = Path(__file__).with_name("fake_nvml.h")
FUNCTIONS = tuple(re.findall(r"\bF\((nvml\w+)\)", HEADER.read_text("utf-8")))

EPOCH, FROZEN, REVISION, GENERATION = 0, 8, 16, 24
CALLS = 64
GPU_CALLS = CALLS + 128 * 16
SPIKES = GPU_CALLS + 64 * 8
SPIKE, SLOTS = 32, 8
SIZE = SPIKES + 64 * SLOTS * SPIKE

H100 = """\
latency.nvmlDeviceGetMemoryInfo_v2 = 5e-6
latency.nvmlDeviceGetComputeRunningProcesses_v3 = 5e-6
latency.nvmlDeviceGetUtilizationRates = 2e-6
latency.nvmlDeviceGetTemperature = 2e-6
latency.nvmlDeviceGetTemperatureV = 2e-6
latency.nvmlDeviceGetPowerUsage = 2e-6
latency.nvmlDeviceGetClockInfo = 2e-6
latency.nvmlDeviceGetFanSpeed = 6e-4
latency.nvmlDeviceGetBAR1MemoryInfo = 2.1e-4
latency.nvmlDeviceGetPcieReplayCounter = 1.5e-4
latency.nvmlDeviceGetMaxClockInfo = 1.23e-3
latency.nvmlDeviceGetProcessUtilization = 2.15e-3
latency.nvmlDeviceGetTotalEnergyConsumption = 2.96e-3
latency.nvmlDeviceGetPcieThroughput = 2.09e-2
latency.nvmlInitWithFlags = 1.16e-2
"""
"""State lines: what each call takes on an H100 with driver 580 (measured; medians at an idle GPU, the fan's cold)."""


class FakeNvml:
    """One fake driver: a folder with its state file and its control page.

    A process sees it with `environment`; state.c says what the state file may hold.
    """

    def __init__(self, library: Path, folder: Path, state: str = "") -> None:
        self.folder = folder
        self.environment = {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML_DIR": str(folder)}
        control = folder / "control"
        control.write_bytes(bytes(SIZE))
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), SIZE)
        self._slots: dict[int, int] = {}
        self._set(EPOCH, time.monotonic_ns())
        self.write(state)

    def write(self, state: str) -> None:
        """Replace the state file; calls made from now on see it."""
        new = self.folder / "state.new"
        new.write_text(state, "utf-8")
        new.replace(self.folder / "state")
        self._set(REVISION, self._get(REVISION) + 1)

    def restart_clock(self) -> None:
        """Make now the time 0 of the state file's `@T` lines."""
        self._set(EPOCH, time.monotonic_ns())

    def freeze(self, seconds: float | None) -> None:
        """Let the state file's clock stand at a time, or run again (None)."""
        self._set(FROZEN, 0 if seconds is None else self._get(EPOCH) + round(seconds * 1e9))

    def spike(self, gpu: int, size: int, seconds: float, delay: float = 0.0) -> None:
        """Add `size` bytes to a GPU's used memory for `seconds`, from `delay` seconds on. Eight may overlap."""
        slot = self._slots.get(gpu, 0)
        self._slots[gpu] = (slot + 1) % SLOTS
        begin = time.monotonic_ns() + round(delay * 1e9)
        place = SPIKES + (gpu * SLOTS + slot) * SPIKE
        struct.pack_into("<QQq", self._page, place, 0, 0, size)
        struct.pack_into("<QQ", self._page, place, begin, begin + round(seconds * 1e9))

    def hang(self, function: str) -> None:
        """Let every call of a function hang until `release`."""
        self._set(self._place(function) + 8, 1)

    def release(self) -> None:
        """Let all hanging calls go on."""
        for function in FUNCTIONS:
            self._set(self._place(function) + 8, 0)

    def reload_driver(self) -> None:
        """Make every process that initialised NVML before initialise it again."""
        self._set(GENERATION, self._get(GENERATION) + 1)

    def calls(self, function: str | None = None) -> int:
        """How often a function was called, or all of them."""
        names = FUNCTIONS if function is None else (function,)
        return sum(self._get(self._place(name)) for name in names)

    def calls_by_function(self) -> dict[str, int]:
        """The functions called so far and how often."""
        return {name: count for name in FUNCTIONS if (count := self.calls(name))}

    def gpu_calls(self, gpu: int) -> int:
        """How many calls were made about one GPU."""
        return self._get(GPU_CALLS + gpu * 8)

    def _place(self, function: str) -> int:
        return CALLS + FUNCTIONS.index(function) * 16

    def _get(self, place: int) -> int:
        return int(struct.unpack_from("<Q", self._page, place)[0])

    def _set(self, place: int, value: int) -> None:
        struct.pack_into("<Q", self._page, place, value)
