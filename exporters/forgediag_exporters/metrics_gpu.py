"""Metrics of what each GPU does: memory first, with its peaks, and who holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forgediag.model import Gap, Gpu, GpuMemory, GpuTelemetry, Nvml, Report
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


def each_gpu(report: Report) -> Iterator[tuple[tuple[str, str], Gpu]]:
    """Each GPU of NVML with the values of its `GPU_LABELS`."""
    if isinstance(report.snapshot.nvml, Nvml):
        for gpu in report.snapshot.nvml.gpus:
            yield (str(gpu.info.index), gpu.info.uuid), gpu


def _there(report: Report) -> Iterator[Sample]:
    for labels, gpu in each_gpu(report):
        lost = isinstance(gpu.memory, Gap) and gpu.memory.kind == "lost"
        yield labels, float(not lost)


def _memory(report: Report) -> Iterator[Sample]:
    for labels, gpu in each_gpu(report):
        if isinstance(gpu.memory, GpuMemory):
            memory = gpu.memory
            yield (*labels, "total"), memory.total
            yield (*labels, "used"), memory.used
            yield (*labels, "free"), memory.free
            if memory.reserved is not None:
                yield (*labels, "reserved"), memory.reserved


def _peaks(report: Report) -> Iterator[Sample]:
    for labels, gpu in each_gpu(report):
        if isinstance(gpu.memory, GpuMemory):
            for window, peak in gpu.peaks.items():
                yield (*labels, f"{window}s"), peak


def _process_memory(report: Report) -> Iterator[Sample]:
    """Configured Forges by name; `other` is all else that is in use. Nothing where the driver does not tell (WDDM).

    A process of Forge that is not listed on a card holds nothing there: 0, so that a graph has no hole after an unload.
    """
    targets = {
        target.process.pid: target.name for target in report.snapshot.targets if not isinstance(target.process, Gap)
    }
    for labels, gpu in each_gpu(report):
        if isinstance(gpu.memory, Gap) or isinstance(gpu.processes, Gap):
            continue
        if any(process.used is None for process in gpu.processes):
            continue
        held = dict.fromkeys(targets.values(), 0)
        for process in gpu.processes:
            if process.pid in targets:
                held[targets[process.pid]] += process.used or 0
        for name, used in held.items():
            yield (*labels, name), used
        yield (*labels, "other"), max(0, gpu.memory.used - sum(held.values()))


def _process_count(report: Report) -> Iterator[Sample]:
    for labels, gpu in each_gpu(report):
        if not isinstance(gpu.processes, Gap):
            yield labels, len(gpu.processes)


def _reading(value: Callable[[GpuTelemetry], float | None]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for labels, gpu in each_gpu(report):
            if isinstance(gpu.telemetry, GpuTelemetry) and (number := value(gpu.telemetry)) is not None:
                yield labels, number

    return samples


def _throttled(report: Report) -> Iterator[Sample]:
    for labels, gpu in each_gpu(report):
        if isinstance(gpu.telemetry, GpuTelemetry) and gpu.telemetry.throttle_reasons is not None:
            for reason, bit in THROTTLE_REASONS.items():
                yield (*labels, reason), float(bool(gpu.telemetry.throttle_reasons & bit))


GPU_LABELS = ("gpu", "uuid")
GPU_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_gpu_up", "gauge", "Whether a GPU answers; 0 when it fell off the bus.", GPU_LABELS, "Is it lost?", _there
    ),
    Metric(
        "forge_gpu_memory_bytes",
        "gauge",
        "Memory of a GPU; total = used + free + reserved by the driver.",
        (*GPU_LABELS, "kind"),
        "How full is the card?",
        _memory,
    ),
    Metric(
        "forge_gpu_memory_used_max_bytes",
        "gauge",
        "Highest used memory within the last window, sampled at up to 100 Hz.",
        (*GPU_LABELS, "window"),
        "How full was the card between two scrapes?",
        _peaks,
    ),
    Metric(
        "forge_gpu_process_memory_bytes",
        "gauge",
        "Memory held by each watched Forge, and by everything else.",
        (*GPU_LABELS, "process"),
        "Who holds the memory?",
        _process_memory,
    ),
    Metric(
        "forge_gpu_processes",
        "gauge",
        "Compute processes.",
        GPU_LABELS,
        "How many programs share the card?",
        _process_count,
    ),
    Metric(
        "forge_gpu_utilization_ratio",
        "gauge",
        "Share of time a kernel was running.",
        GPU_LABELS,
        "Is the card working?",
        _reading(lambda reading: reading.utilization),
    ),
    Metric(
        "forge_gpu_memory_utilization_ratio",
        "gauge",
        "Share of time device memory was read or written.",
        GPU_LABELS,
        "Is memory bandwidth the limit?",
        _reading(lambda reading: reading.memory_utilization),
    ),
    Metric(
        "forge_gpu_temperature_celsius",
        "gauge",
        "Temperature of the GPU.",
        GPU_LABELS,
        "Is it too hot?",
        _reading(lambda reading: reading.temperature),
    ),
    Metric(
        "forge_gpu_power_watts",
        "gauge",
        "Power draw.",
        GPU_LABELS,
        "What does it draw?",
        _reading(lambda reading: reading.power),
    ),
    Metric(
        "forge_gpu_sm_clock_hertz",
        "gauge",
        "Clock of the streaming multiprocessors.",
        GPU_LABELS,
        "Is it slowed down?",
        _reading(lambda reading: reading.sm_clock),
    ),
    Metric(
        "forge_gpu_memory_clock_hertz",
        "gauge",
        "Clock of the device memory.",
        GPU_LABELS,
        "Is its memory slowed down?",
        _reading(lambda reading: reading.memory_clock),
    ),
    Metric(
        "forge_gpu_performance_state",
        "gauge",
        "Performance state, 0 the fastest.",
        GPU_LABELS,
        "Is it asleep?",
        _reading(lambda reading: reading.performance_state),
    ),
    Metric(
        "forge_gpu_throttled",
        "gauge",
        "Whether a reason holds the clocks down.",
        (*GPU_LABELS, "reason"),
        "Why is it slowed down?",
        _throttled,
    ),
)
