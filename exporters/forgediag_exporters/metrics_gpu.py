"""Metrics of each GPU and of the host: memory first, with its peaks, and who holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forgediag.model import Gap, Gpu, GpuInfo, GpuMemory, GpuTelemetry, Host, Nvml, Report
from forgediag_exporters.metric import Metric, Sample, Samples

THROTTLE_REASONS = {
    "gpu_idle": 0x1,
    "applications_clocks_setting": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
    "display_clock_setting": 0x100,
}
"""Bits of nvmlDeviceGetCurrentClocksThrottleReasons (NVML API reference, nvmlClocksEventReasons)."""


def _gpus(report: Report) -> Iterator[tuple[tuple[str, str], Gpu]]:
    if isinstance(report.snapshot.nvml, Nvml):
        for gpu in report.snapshot.nvml.gpus:
            yield (str(gpu.info.index), gpu.info.uuid), gpu


def _info(report: Report) -> Iterator[Sample]:
    nvml = report.snapshot.nvml
    if isinstance(nvml, Nvml):
        for labels, gpu in _gpus(report):
            capability = gpu.info.compute_capability
            shown = f"{capability[0]}.{capability[1]}" if capability else "unknown"
            yield (*labels, gpu.info.name, nvml.driver, shown), 1.0


def _there(report: Report) -> Iterator[Sample]:
    for labels, gpu in _gpus(report):
        lost = isinstance(gpu.memory, Gap) and gpu.memory.kind == "lost"
        yield labels, float(not lost)


def _memory(report: Report) -> Iterator[Sample]:
    for labels, gpu in _gpus(report):
        if isinstance(gpu.memory, GpuMemory):
            memory = gpu.memory
            yield (*labels, "total"), memory.total
            yield (*labels, "used"), memory.used
            yield (*labels, "free"), memory.free
            if memory.reserved is not None:
                yield (*labels, "reserved"), memory.reserved


def _peaks(report: Report) -> Iterator[Sample]:
    for labels, gpu in _gpus(report):
        if isinstance(gpu.memory, GpuMemory):
            for window, peak in gpu.peaks.items():
                yield (*labels, f"{window}s"), peak


def _process_memory(report: Report) -> Iterator[Sample]:
    """Configured Forges by name; `other` is all else that is in use. Nothing where the driver does not tell (WDDM)."""
    targets = {
        target.process.pid: target.name for target in report.snapshot.targets if not isinstance(target.process, Gap)
    }
    for labels, gpu in _gpus(report):
        if isinstance(gpu.memory, Gap) or isinstance(gpu.processes, Gap):
            continue
        if any(process.used is None for process in gpu.processes):
            continue
        other = gpu.memory.used
        for process in gpu.processes:
            if process.pid in targets and process.used is not None:
                yield (*labels, targets[process.pid]), process.used
                other -= process.used
        yield (*labels, "other"), max(0, other)


def _process_count(report: Report) -> Iterator[Sample]:
    for labels, gpu in _gpus(report):
        if not isinstance(gpu.processes, Gap):
            yield labels, len(gpu.processes)


def _reading(value: Callable[[GpuTelemetry], float | None]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for labels, gpu in _gpus(report):
            if isinstance(gpu.telemetry, GpuTelemetry) and (number := value(gpu.telemetry)) is not None:
                yield labels, number

    return samples


def _static(*kinds: tuple[str | None, Callable[[GpuInfo], float | None]]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for labels, gpu in _gpus(report):
            for kind, value in kinds:
                if (number := value(gpu.info)) is not None:
                    yield (labels if kind is None else (*labels, kind)), number

    return samples


def _throttled(report: Report) -> Iterator[Sample]:
    for labels, gpu in _gpus(report):
        if isinstance(gpu.telemetry, GpuTelemetry) and gpu.telemetry.throttle_reasons is not None:
            for reason, bit in THROTTLE_REASONS.items():
                yield (*labels, reason), float(bool(gpu.telemetry.throttle_reasons & bit))


def _host(report: Report) -> Iterator[Sample]:
    host = report.snapshot.host
    if isinstance(host, Host):
        yield ("total",), host.ram_total
        yield ("available",), host.ram_available
        yield ("swap_total",), host.swap_total
        yield ("swap_free",), host.swap_free


G = ("gpu", "uuid")
GPU_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_gpu_info",
        "gauge",
        "Name, driver and compute capability of a GPU; always 1.",
        (*G, "name", "driver", "compute_capability"),
        "Which cards are there?",
        _info,
    ),
    Metric("forge_gpu_up", "gauge", "Whether a GPU answers; 0 when it fell off the bus.", G, "Is it lost?", _there),
    Metric(
        "forge_gpu_memory_bytes",
        "gauge",
        "Memory of a GPU; total = used + free + reserved by the driver.",
        (*G, "kind"),
        "How full is the card?",
        _memory,
    ),
    Metric(
        "forge_gpu_memory_used_max_bytes",
        "gauge",
        "Highest used memory within the last window, sampled at up to 100 Hz.",
        (*G, "window"),
        "How full was the card between two scrapes?",
        _peaks,
    ),
    Metric(
        "forge_gpu_process_memory_bytes",
        "gauge",
        "Memory held by each watched Forge, and by everything else.",
        (*G, "process"),
        "Who holds the memory?",
        _process_memory,
    ),
    Metric(
        "forge_gpu_processes", "gauge", "Compute processes.", G, "How many programs share the card?", _process_count
    ),
    Metric(
        "forge_gpu_utilization_ratio",
        "gauge",
        "Share of time a kernel was running.",
        G,
        "Is the card working?",
        _reading(lambda reading: reading.utilization),
    ),
    Metric(
        "forge_gpu_memory_utilization_ratio",
        "gauge",
        "Share of time device memory was read or written.",
        G,
        "Is memory bandwidth the limit?",
        _reading(lambda reading: reading.memory_utilization),
    ),
    Metric(
        "forge_gpu_temperature_celsius",
        "gauge",
        "Temperature of the GPU.",
        G,
        "Is it too hot?",
        _reading(lambda reading: reading.temperature),
    ),
    Metric(
        "forge_gpu_power_watts",
        "gauge",
        "Power draw.",
        G,
        "What does it draw?",
        _reading(lambda reading: reading.power),
    ),
    Metric(
        "forge_gpu_sm_clock_hertz",
        "gauge",
        "Clock of the streaming multiprocessors.",
        G,
        "Is it slowed down?",
        _reading(lambda reading: reading.sm_clock),
    ),
    Metric(
        "forge_gpu_memory_clock_hertz",
        "gauge",
        "Clock of the device memory.",
        G,
        "Is its memory slowed down?",
        _reading(lambda reading: reading.memory_clock),
    ),
    Metric(
        "forge_gpu_performance_state",
        "gauge",
        "Performance state, 0 the fastest.",
        G,
        "Is it asleep?",
        _reading(lambda reading: reading.performance_state),
    ),
    Metric(
        "forge_gpu_throttled",
        "gauge",
        "Whether a reason holds the clocks down.",
        (*G, "reason"),
        "Why is it slowed down?",
        _throttled,
    ),
    Metric(
        "forge_gpu_power_limit_watts",
        "gauge",
        "Power limits: in force, the default, and the highest that may be set.",
        (*G, "kind"),
        "Is its power limited?",
        _static(
            ("enforced", lambda info: info.power_limit),
            ("default", lambda info: info.default_power_limit),
            ("max", lambda info: info.max_power_limit),
        ),
    ),
    Metric(
        "forge_gpu_temperature_limit_celsius",
        "gauge",
        "Temperatures at which the card slows down and shuts down.",
        (*G, "kind"),
        "How far is it from too hot?",
        _static(
            ("slowdown", lambda info: info.slowdown_temperature),
            ("shutdown", lambda info: info.shutdown_temperature),
        ),
    ),
    Metric(
        "forge_gpu_max_clock_hertz",
        "gauge",
        "Highest clocks.",
        (*G, "kind"),
        "How fast could it be?",
        _static(("sm", lambda info: info.max_sm_clock), ("memory", lambda info: info.max_memory_clock)),
    ),
    Metric(
        "forge_gpu_pcie_generation",
        "gauge",
        "PCIe generation of the link, now (it drops at idle) and at most.",
        (*G, "kind"),
        "Is the slot slow?",
        _static(("current", lambda info: info.pcie_generation), ("max", lambda info: info.pcie_max_generation)),
    ),
    Metric(
        "forge_gpu_pcie_width_lanes",
        "gauge",
        "PCIe lanes of the link, now and at most.",
        (*G, "kind"),
        "Is the slot narrow?",
        _static(("current", lambda info: info.pcie_width), ("max", lambda info: info.pcie_max_width)),
    ),
    Metric(
        "forge_gpu_display_active",
        "gauge",
        "Whether a display is driven by this card: a desktop takes memory from it.",
        G,
        "Does a monitor share the card?",
        _static((None, lambda info: info.display_active)),
    ),
    Metric(
        "forge_gpu_persistence_mode",
        "gauge",
        "Whether the driver stays loaded without a client.",
        G,
        "Does the driver start anew with each program?",
        _static((None, lambda info: info.persistence_mode)),
    ),
    Metric(
        "forge_host_memory_bytes",
        "gauge",
        "System memory and swap (the page file on Windows).",
        ("kind",),
        "Is system memory about to run out?",
        _host,
    ),
)
