"""NVIDIA GPUs through NVML: what is fixed is read once, the rest one small call at a time, every failure a Gap.

Only calls that cost a few microseconds on real hardware are made periodically (measured on an H100, driver 580:
memory 6 us, utilization, temperature, power and clocks 1 to 3 us, process list 11 us). PCIe throughput (21 ms), energy
(3 ms), process utilization (2 ms), BAR1, the replay counter and the fan are never asked; maximum clocks (1.2 ms) and
limits once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from forgediag.model import Gap, Gpu, GpuInfo, GpuMemory, GpuProcess, GpuTelemetry, Known
from forgediag.sources.nvml_gaps import DriverGoneError, card_gap
from forgediag.sources.nvml_library import (
    CLOCK_MEM,
    CLOCK_SM,
    DRIVER_GONE,
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    PSTATE_UNKNOWN,
    RESET_REQUIRED,
    SHUTDOWN,
    SLOWDOWN,
    TEMPERATURE_GPU,
    VERSION_MISMATCH,
    Driver,
    Handle,
    Memory,
    RefusedError,
)
from forgediag.sources.peaks import Peaks

T = TypeVar("T")

MHZ = 1e6
MILLIWATT = 1e-3
PERCENT = 1e-2

_UNTRIED = Gap("not read yet", "starting")
_TEMPERATURE = ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV")
_THROTTLE = ("nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetCurrentClocksEventReasons")
_PROCESSES = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")
"""The same fact under its names: nvidia-ml-py 13 says the first ones of each pair go away with CUDA 14, and drivers
before R510 know only v2 of the process list."""


def parse_memory(raw: Memory, *, v2: bool) -> GpuMemory:
    """One sample. The v1 struct (drivers before R510) has no `reserved`, and its `used` includes that part."""
    return GpuMemory(raw.total, raw.used, raw.free, raw.reserved if v2 else None)


def parse_cuda(version: int | None) -> tuple[int, int] | None:
    """NVML's CUDA version 12080 as (12, 8)."""
    return None if version is None else (version // 1000, version % 1000 // 10)


class Card:
    """One GPU: its facts and newest readings. Written by one thread; `gpu()` is called under the owner's lock.

    Every `read_*` raises DriverGoneError when the driver has gone, and nothing else.
    """

    def __init__(self, driver: Driver, index: int) -> None:
        self.index = index
        self.peaks = Peaks(())
        self.anchor: int | None = None
        self.fast_until = 0.0
        self.memory: Known[Memory] = _UNTRIED
        self.info = GpuInfo(index, "", "unknown", 0)
        self._driver = driver
        self._handle: Handle = None
        self._v2 = True
        self._read_memory = driver.library.nvmlDeviceGetMemoryInfo
        self._read_utilization = driver.library.nvmlDeviceGetUtilizationRates
        self._read_power = driver.library.nvmlDeviceGetPowerUsage
        self._read_clock = driver.library.nvmlDeviceGetClockInfo
        self._memory_arguments: tuple[Any, ...] = ()
        self._names: dict[tuple[str, ...], int] = {_TEMPERATURE: 0, _THROTTLE: 0, _PROCESSES: 0}
        self._memory_clock: float | None = None
        self._throttle_reasons: int | None = None
        self._performance_state: int | None = None
        self._telemetry: Known[GpuTelemetry] = GpuTelemetry()
        self._processes: Known[tuple[GpuProcess, ...]] = _UNTRIED
        self._listed: int | None = None

    @property
    def lost(self) -> bool:
        """Whether the newest memory reading said that the GPU is lost."""
        return isinstance(self.memory, Gap) and self.memory.kind == "lost"

    @property
    def failing(self) -> bool:
        """Whether the newest memory reading failed in a way that initialising NVML again may end."""
        return isinstance(self.memory, Gap) and self.memory.kind in ("lost", "failed")

    def open(self) -> None:
        """Get the handle and read what does not change. A GPU that is lost already has no UUID and no name."""
        try:
            self._handle = self._ask("nvmlDeviceGetHandleByIndex", self.index)
        except RefusedError as refused:
            self._refuse(refused)
            return
        self._open_memory()
        self.info = self._facts()

    def _open_memory(self) -> None:
        """Read with struct v2, and with v1 where the driver (before R510) has no v2."""
        for arguments in ((self._handle, self._driver.library.nvmlMemory_v2), (self._handle,)):
            self._memory_arguments, self._v2 = arguments, len(arguments) == 2
            self.read_memory()
            if not isinstance(self.memory, Gap):
                return
            if self.memory.kind != "unsupported":
                break
        self._memory_arguments, self._v2 = (self._handle, self._driver.library.nvmlMemory_v2), True

    def _facts(self) -> GpuInfo:
        fact = self._fact
        capability = fact("nvmlDeviceGetCudaComputeCapability")
        limits = fact("nvmlDeviceGetPowerManagementLimitConstraints")
        return GpuInfo(
            index=self.index,
            uuid=fact("nvmlDeviceGetUUID") or "",
            name=fact("nvmlDeviceGetName") or "unknown",
            total=0 if isinstance(self.memory, Gap) else self.memory.total,
            compute_capability=None if capability is None else (capability[0], capability[1]),
            power_limit=_scaled(fact("nvmlDeviceGetPowerManagementLimit"), MILLIWATT),
            max_sm_clock=_scaled(fact("nvmlDeviceGetMaxClockInfo", CLOCK_SM), MHZ),
            max_memory_clock=_scaled(fact("nvmlDeviceGetMaxClockInfo", CLOCK_MEM), MHZ),
            pcie_generation=fact("nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_max_generation=fact("nvmlDeviceGetMaxPcieLinkGeneration"),
            pcie_width=fact("nvmlDeviceGetCurrPcieLinkWidth"),
            pcie_max_width=fact("nvmlDeviceGetMaxPcieLinkWidth"),
            default_power_limit=_scaled(fact("nvmlDeviceGetPowerManagementDefaultLimit"), MILLIWATT),
            max_power_limit=None if limits is None else limits[1] * MILLIWATT,
            slowdown_temperature=_scaled(fact("nvmlDeviceGetTemperatureThreshold", SLOWDOWN), 1.0),
            shutdown_temperature=_scaled(fact("nvmlDeviceGetTemperatureThreshold", SHUTDOWN), 1.0),
            display_active=_switch(fact("nvmlDeviceGetDisplayActive")),
            persistence_mode=_switch(fact("nvmlDeviceGetPersistenceMode")),
        )

    def read_memory(self) -> int | None:
        """Read the memory once: `used` in bytes, or None for a gap. The hot path: one NVML call."""
        if self._handle is None:
            self.open()
            return None
        try:
            memory = self._driver.call(self._read_memory, *self._memory_arguments)
        except RefusedError as refused:
            self._refuse(refused)
            return None
        self.memory = memory
        return memory.used

    def _refuse(self, refused: RefusedError) -> None:
        if refused.code in DRIVER_GONE:
            raise DriverGoneError(refused) from refused
        self.memory = card_gap(refused, self.index, self.info.name)
        if self.lost:
            self._telemetry = self._processes = self.memory

    def read_telemetry(self) -> None:
        """Utilization, temperature, power and SM clock: four NVML calls."""
        try:
            rates = self._value(self._driver.call, self._read_utilization, self._handle)
            self._telemetry = GpuTelemetry(
                utilization=None if rates is None else rates.gpu * PERCENT,
                memory_utilization=None if rates is None else rates.memory * PERCENT,
                temperature=_scaled(self._value(self._newest, _TEMPERATURE, TEMPERATURE_GPU), 1.0),
                power=_scaled(self._value(self._driver.call, self._read_power, self._handle), MILLIWATT),
                sm_clock=_scaled(self._value(self._driver.call, self._read_clock, self._handle, CLOCK_SM), MHZ),
                memory_clock=self._memory_clock,
                throttle_reasons=self._throttle_reasons,
                performance_state=self._performance_state,
            )
        except RefusedError as refused:
            self._telemetry = card_gap(refused, self.index, self.info.name)

    def read_rare(self) -> None:
        """Memory clock, throttle reasons and performance state: three NVML calls; shown with the next telemetry."""
        try:
            clock = self._value(self._driver.call, self._read_clock, self._handle, CLOCK_MEM)
            self._memory_clock = _scaled(clock, MHZ)
            self._throttle_reasons = self._value(self._newest, _THROTTLE)
            state = self._fact("nvmlDeviceGetPerformanceState")
            self._performance_state = None if state == PSTATE_UNKNOWN else state
        except RefusedError:
            self._memory_clock = self._throttle_reasons = self._performance_state = None

    def read_processes(self) -> None:
        """The compute processes: two NVML calls where there are any."""
        try:
            found = self._newest(_PROCESSES)
        except RefusedError as refused:
            if refused.code in DRIVER_GONE:
                raise DriverGoneError(refused) from refused
            self._processes = card_gap(refused, self.index, self.info.name)
            return
        self._driver.calls += bool(found)
        self._processes = tuple(GpuProcess(process.pid, process.usedGpuMemory) for process in found)
        self._listed = None if isinstance(self.memory, Gap) else self.memory.used

    def gpu(self, at: float) -> Gpu:
        """Everything known of the card, frozen. A card without memory readings shows no peaks either."""
        raw = self.memory
        if isinstance(raw, Gap):
            return Gpu(self.info, raw, {}, self._telemetry, self._processes)
        info = self.info if self.info.total else replace(self.info, total=raw.total)
        memory, peaks = parse_memory(raw, v2=self._v2), self.peaks.get(at)
        return Gpu(info, memory, peaks, self._telemetry, self._processes, self._listed)

    def _ask(self, name: str, *arguments: object) -> Any:
        return self._driver.named(name, *arguments)

    def _fact(self, name: str, *arguments: object) -> Any:
        try:
            return self._value(self._ask, name, self._handle, *arguments)
        except RefusedError:
            return None

    def _newest(self, names: tuple[str, ...], *arguments: object) -> Any:
        """Call the first of several names for one fact that this driver knows."""
        chosen = self._names[names]
        try:
            return self._ask(names[chosen], self._handle, *arguments)
        except RefusedError as refused:
            if refused.code not in (FUNCTION_NOT_FOUND, VERSION_MISMATCH) or chosen + 1 == len(names):
                raise
        self._names[names] = chosen + 1
        return self._newest(names, *arguments)

    def _value(self, function: Callable[..., T], *arguments: object) -> T | None:
        """What a call answers, None for N/A. A lost GPU stays an exception: all its values are gone."""
        try:
            return function(*arguments)
        except RefusedError as refused:
            if refused.code in DRIVER_GONE:
                raise DriverGoneError(refused) from refused
            if refused.code in (GPU_IS_LOST, RESET_REQUIRED):
                raise
            return None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _switch(value: int | None) -> bool | None:
    return None if value is None else bool(value)
