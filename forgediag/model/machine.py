"""The machine Forge runs on: process, install directory, memory, GPUs. Bytes and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forgediag.model.known import Known


@dataclass(frozen=True, slots=True)
class Process:
    """The Forge process on this machine. `visible_devices` is its CUDA_VISIBLE_DEVICES, None when unset.

    `folder_flags` are the start flags that name folders of models, with `_` inside and without dashes in front.
    """

    pid: int
    resident: int
    started: float
    directory: str
    visible_devices: str | None = None
    device_flag: str | None = None
    executable: str | None = None
    folder_flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Install:
    """Forge's install directory, read without running anything in it.

    `packages` are its venv's dist-infos, `modules` those import packages in it that Forge needs and newer versions
    lack. `python` is the venv's (major, minor), `torch_cuda` what torch's own version file says it was built for.
    `pins` are the exact versions Forge asks for, `engines` the model families it has code for, by Forge's names.
    `saved` is when its settings were last written, in Unix seconds. `wants_torch` says which torch a package with code
    of its own was built for.
    """

    directory: str
    version: str | None
    commit: str | None
    packages: Mapping[str, str]
    modules: frozenset[str] = frozenset()
    python: tuple[int, int] | None = None
    torch_cuda: str | None = None
    pins: Mapping[str, str] = field(default_factory=dict[str, str])
    engines: frozenset[str] = frozenset()
    saved: float | None = None
    wants_torch: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Host:
    """This machine's memory in bytes, from psutil. Swap is the page file on Windows."""

    ram_total: int
    ram_available: int
    swap_total: int
    swap_free: int


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """One NVML memory sample. `used` does not include the driver's `reserved` part.

    Drivers before R510 know no struct v2: there `reserved` is None and `used` includes it.
    """

    total: int
    used: int
    free: int
    reserved: int | None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A compute process on a GPU. `used` is None under WDDM, where the driver does not say."""

    pid: int
    used: int | None


@dataclass(frozen=True, slots=True)
class GpuTelemetry:
    """The 1 Hz readings. None where the driver answers N/A. Hertz, watts, Celsius, ratios 0..1."""

    utilization: float | None = None
    memory_utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    sm_clock: float | None = None
    memory_clock: float | None = None
    throttle_reasons: int | None = None
    performance_state: int | None = None


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """What does not change while the driver is loaded. Bytes, watts, Hertz; None where the driver says N/A."""

    index: int
    uuid: str
    name: str
    total: int
    compute_capability: tuple[int, int] | None = None
    power_limit: float | None = None
    max_sm_clock: float | None = None
    max_memory_clock: float | None = None
    pcie_generation: int | None = None
    pcie_max_generation: int | None = None
    pcie_width: int | None = None
    pcie_max_width: int | None = None
    default_power_limit: float | None = None
    max_power_limit: float | None = None
    slowdown_temperature: float | None = None
    shutdown_temperature: float | None = None
    display_active: bool | None = None
    persistence_mode: bool | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU. `peaks` maps a window in seconds to the largest `used` seen in it.

    `listed` is what was used, in bytes, when `processes` were listed: memory is read more often.
    """

    info: GpuInfo
    memory: Known[GpuMemory]
    peaks: Mapping[int, int] = field(default_factory=dict[int, int])
    telemetry: Known[GpuTelemetry] = GpuTelemetry()
    processes: Known[tuple[GpuProcess, ...]] = ()
    listed: int | None = None


@dataclass(frozen=True, slots=True)
class Nvml:
    """Everything NVML says. `cuda` is the newest CUDA version the driver supports, as (major, minor)."""

    driver: str
    cuda: tuple[int, int] | None
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """The highest value of each of the last seconds, the newest last; None where nothing was read. `end` is Unix."""

    end: int
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """What forgediag itself takes: resident bytes, CPU seconds since its start, its start in Unix seconds."""

    resident: int
    cpu_seconds: float
    started: float
