"""The module `pynvml` as a typed protocol, and calls into it that another thread can watch."""
# ruff: noqa: N802, D102 - NVML's own names, spelt and documented by nvidia-ml-py

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, cast

Handle: TypeAlias = Any
"""A device handle: opaque, valid until the library is shut down."""

T = TypeVar("T")

UNINITIALIZED, NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND = 1, 3, 4, 9, 12
FUNCTION_NOT_FOUND, GPU_IS_LOST, RESET_REQUIRED, RM_VERSION_MISMATCH, VERSION_MISMATCH = 13, 15, 16, 18, 25
"""NVML's return codes (nvml.h, nvmlReturn_t), as far as they are told apart here."""

DRIVER_GONE = frozenset({UNINITIALIZED, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, RM_VERSION_MISMATCH})
"""Codes after which every handle is dead: the driver was unloaded, reloaded or replaced."""

CLOCK_SM, CLOCK_MEM, TEMPERATURE_GPU, SHUTDOWN, SLOWDOWN, PSTATE_UNKNOWN = 1, 2, 0, 0, 1, 32
"""nvmlClockType_t, nvmlTemperatureSensors_t, nvmlTemperatureThresholds_t, nvmlPstates_t."""


class CodedError(Exception):
    """What a library raises as `NVMLError`: an exception with NVML's return code in `value`."""

    value: int


class Memory(Protocol):
    """nvmlMemory_v2_t; the v1 struct has no `reserved`. Bytes."""

    total: int
    free: int
    used: int
    reserved: int


class Utilization(Protocol):
    """nvmlUtilization_t, in percent."""

    gpu: int
    memory: int


class ProcessInfo(Protocol):
    """nvmlProcessInfo_t. `usedGpuMemory` is None under WDDM."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815


class Library(Protocol):
    """What is used of `pynvml`; `forgediag.testing.gpu` has another one. Every call may raise `NVMLError`.

    MHz, milliwatts, degrees Celsius, bytes. A pynvml older or newer than 13 may lack some of these; each is
    looked up when it is first needed, and a missing one counts as NVML_ERROR_FUNCTION_NOT_FOUND.
    """

    nvmlMemory_v2: int  # noqa: N815

    @property
    def NVMLError(self) -> type[CodedError]: ...
    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlSystemGetCudaDriverVersion(self) -> int: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle: ...
    def nvmlDeviceGetUUID(self, handle: Handle) -> str: ...
    def nvmlDeviceGetName(self, handle: Handle) -> str: ...
    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> Sequence[int]: ...
    def nvmlDeviceGetPowerManagementLimit(self, handle: Handle) -> int: ...
    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Handle) -> int: ...
    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: Handle) -> Sequence[int]: ...
    def nvmlDeviceGetTemperatureThreshold(self, handle: Handle, threshold: int) -> int: ...
    def nvmlDeviceGetDisplayActive(self, handle: Handle) -> int: ...
    def nvmlDeviceGetPersistenceMode(self, handle: Handle) -> int: ...
    def nvmlDeviceGetPerformanceState(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMaxClockInfo(self, handle: Handle, type: int) -> int: ...  # noqa: A002
    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Handle) -> int: ...
    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Handle) -> int: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int | None = None) -> Memory: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> Utilization: ...
    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int) -> int: ...
    def nvmlDeviceGetTemperatureV(self, handle: Handle, sensor: int) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int: ...
    def nvmlDeviceGetClockInfo(self, handle: Handle, type: int) -> int: ...  # noqa: A002
    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Handle) -> int: ...
    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Handle) -> int: ...
    def nvmlDeviceGetComputeRunningProcesses_v2(self, handle: Handle) -> Sequence[ProcessInfo]: ...
    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Handle) -> Sequence[ProcessInfo]: ...


def load() -> Library:
    """The module `pynvml` of nvidia-ml-py, which ships no types. Loads no driver library yet."""
    return cast("Library", importlib.import_module("pynvml"))


class RefusedError(Exception):
    """The library answered with an error code instead of a value."""

    def __init__(self, code: int, text: str, function: str) -> None:
        super().__init__(f"{function} answers {text} ({code})")
        self.code, self.text, self.function = code, text, function


class Driver:
    """Calls into a library, one at a time, from one thread; `waiting` may be asked by any.

    `calls` counts calls made; those of a process list are two inside pynvml and count as two.
    """

    def __init__(self, library: Library, clock: Callable[[], float], calls: int = 0) -> None:
        """Watch a library by a clock (seconds); `calls` is where counting begins."""
        self.library = library
        self.calls = calls
        self._clock = clock
        self._error = library.NVMLError
        self._function: Callable[..., object] | None = None
        self._entered: float | None = None

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call one of the library's functions.

        Raises:
            RefusedError: the library answered an error code. A name or UUID that is no UTF-8 (seen under WSL) and a
                fault inside the library count as unknown errors, code 999.
        """
        self.calls += 1
        self._function = function
        self._entered = self._clock()
        try:
            return function(*arguments)
        except self._error as error:
            raise RefusedError(error.value, str(error), _name(function)) from error
        except (UnicodeDecodeError, OSError) as error:
            raise RefusedError(999, str(error), _name(function)) from error
        finally:
            self._entered = None

    def named(self, name: str, *arguments: object) -> Any:
        """Call a function by name; one that this pynvml lacks is refused as FUNCTION_NOT_FOUND."""
        function = getattr(self.library, name, None)
        if function is None:
            raise RefusedError(FUNCTION_NOT_FOUND, "Function Not Found", name)
        return self.call(function, *arguments)

    def optional(self, name: str, *arguments: object) -> Any:
        """The same, None when refused."""
        try:
            return self.named(name, *arguments)
        except RefusedError:
            return None

    def waiting(self) -> tuple[str, float] | None:
        """The call under way and since how many seconds, or None between calls."""
        entered, function = self._entered, self._function
        if entered is None or function is None:
            return None
        return _name(function), self._clock() - entered


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", "an NVML call")
