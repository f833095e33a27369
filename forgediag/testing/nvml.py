"""Simulated GPUs behind the functions of pynvml: no driver, no hardware."""
# ruff: noqa: N802, D102 - NVML's own names, spelt and documented by nvidia-ml-py

from __future__ import annotations

import threading
from dataclasses import dataclass

from forgediag.sources.nvml_library import (
    CLOCK_MEM,
    GPU_IS_LOST,
    LIBRARY_NOT_FOUND,
    SLOWDOWN,
    UNINITIALIZED,
    CodedError,
    Library,
)
from forgediag.testing.gpu import SimulatedGpu

_TEXTS = {
    UNINITIALIZED: "Uninitialized",
    LIBRARY_NOT_FOUND: "NVML Shared Library Not Found",
    GPU_IS_LOST: "GPU is lost",
}


class SimulatedNvmlError(CodedError):
    """What the simulated library raises, as pynvml's NVMLError: the code is in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(_TEXTS[value])
        self.value = value


@dataclass(slots=True)
class SimulatedMemory:
    """nvmlMemory_v2_t."""

    total: int
    free: int
    used: int
    reserved: int


@dataclass(slots=True)
class SimulatedUtilization:
    """nvmlUtilization_t."""

    gpu: int
    memory: int


@dataclass(slots=True)
class SimulatedProcess:
    """nvmlProcessInfo_t."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's own name


class SimulatedNvml:
    """The library (`forgediag.sources.nvml_library.Library`) over simulated cards; a card is its own handle."""

    nvmlMemory_v2 = 0x02000028  # noqa: N815 - pynvml's name

    def __init__(self, *gpus: SimulatedGpu, missing: bool = False) -> None:
        """With these cards; `missing` is a machine without a driver."""
        self.gpus = gpus
        self.missing = missing
        self._ready = False
        self._open = threading.Event()
        self._open.set()

    @property
    def NVMLError(self) -> type[CodedError]:
        return SimulatedNvmlError

    def load(self) -> Library:
        """The library itself: what `Sampler` takes as its first argument."""
        return self

    def hang(self) -> None:
        """Let `nvmlInit` and every call about a card hang from now on."""
        self._open.clear()

    def release(self) -> None:
        """Let the hanging calls go on."""
        self._open.set()

    def reload(self) -> None:
        """Reload the driver: everything must be initialised again."""
        self._ready = False

    def _device(self, gpu: SimulatedGpu) -> SimulatedGpu:
        self._open.wait()
        if not self._ready:
            raise SimulatedNvmlError(UNINITIALIZED)
        if gpu.lost:
            raise SimulatedNvmlError(GPU_IS_LOST)
        return gpu

    def nvmlInit(self) -> None:
        self._open.wait()
        if self.missing:
            raise SimulatedNvmlError(LIBRARY_NOT_FOUND)
        self._ready = True

    def nvmlShutdown(self) -> None:
        self._ready = False

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimulatedGpu:
        return self._device(self.gpus[index])

    def nvmlDeviceGetUUID(self, handle: SimulatedGpu) -> str:
        return self._device(handle).uuid

    def nvmlDeviceGetName(self, handle: SimulatedGpu) -> str:
        return self._device(handle).name

    def nvmlDeviceGetCudaComputeCapability(self, handle: SimulatedGpu) -> tuple[int, int]:
        self._device(handle)
        return 8, 9

    def nvmlDeviceGetPowerManagementLimit(self, handle: SimulatedGpu) -> int:
        self._device(handle)
        return 200_000

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: SimulatedGpu) -> int:
        return self.nvmlDeviceGetPowerManagementLimit(handle)

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: SimulatedGpu) -> tuple[int, int]:
        self._device(handle)
        return 100_000, 215_000

    def nvmlDeviceGetTemperatureThreshold(self, handle: SimulatedGpu, threshold: int) -> int:
        self._device(handle)
        return 96 if threshold == SLOWDOWN else 99

    def nvmlDeviceGetDisplayActive(self, handle: SimulatedGpu) -> int:
        self._device(handle)
        return 1

    def nvmlDeviceGetPersistenceMode(self, handle: SimulatedGpu) -> int:
        self._device(handle)
        return 0

    def nvmlDeviceGetPerformanceState(self, handle: SimulatedGpu) -> int:
        return 2 if self._device(handle).load() > 0 else 8

    def nvmlDeviceGetMaxClockInfo(self, handle: SimulatedGpu, type: int) -> int:  # noqa: A002 - pynvml's name
        self._device(handle)
        return 10_501 if type == CLOCK_MEM else 3_105

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: SimulatedGpu) -> int:
        self._device(handle)
        return 4

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: SimulatedGpu) -> int:
        return self.nvmlDeviceGetCurrPcieLinkGeneration(handle)

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: SimulatedGpu) -> int:
        self._device(handle)
        return 16

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: SimulatedGpu) -> int:
        return self.nvmlDeviceGetCurrPcieLinkWidth(handle)

    def nvmlDeviceGetMemoryInfo(self, handle: SimulatedGpu, version: int | None = None) -> SimulatedMemory:
        gpu = self._device(handle)
        used = gpu.forge_memory() + gpu.other[1]
        free = gpu.total - gpu.reserved - used
        if version is None:
            return SimulatedMemory(gpu.total, free, used + gpu.reserved, 0)
        return SimulatedMemory(gpu.total, free, used, gpu.reserved)

    def nvmlDeviceGetUtilizationRates(self, handle: SimulatedGpu) -> SimulatedUtilization:
        load = self._device(handle).load()
        return SimulatedUtilization(round(100 * load), round(60 * load))

    def nvmlDeviceGetTemperature(self, handle: SimulatedGpu, sensor: int) -> int:
        del sensor
        return round(36 + 38 * self._device(handle).warmth())

    def nvmlDeviceGetTemperatureV(self, handle: SimulatedGpu, sensor: int) -> int:
        return self.nvmlDeviceGetTemperature(handle, sensor)

    def nvmlDeviceGetPowerUsage(self, handle: SimulatedGpu) -> int:
        return round(14_000 + 180_000 * self._device(handle).load())

    def nvmlDeviceGetClockInfo(self, handle: SimulatedGpu, type: int) -> int:  # noqa: A002 - pynvml's name
        busy = self._device(handle).load() > 0
        if type == CLOCK_MEM:
            return 10_251 if busy else 405
        return 2_730 if busy else 210

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: SimulatedGpu) -> int:
        gpu = self._device(handle)
        return gpu.throttled or (0 if gpu.load() > 0 else 1)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: SimulatedGpu) -> int:
        return self.nvmlDeviceGetCurrentClocksThrottleReasons(handle)

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: SimulatedGpu) -> list[SimulatedProcess]:
        gpu = self._device(handle)
        sizes = {gpu.forge_pid: gpu.forge_memory(), gpu.other[0]: gpu.other[1]}
        return [SimulatedProcess(pid, None if gpu.wddm else size) for pid, size in sizes.items()]

    def nvmlDeviceGetComputeRunningProcesses_v2(self, handle: SimulatedGpu) -> list[SimulatedProcess]:
        return self.nvmlDeviceGetComputeRunningProcesses_v3(handle)
