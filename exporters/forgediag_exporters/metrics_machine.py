"""Metrics of what the machine is: the cards with their limits and links, the host's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forgediag.model import GpuInfo, Host, Nvml, Report
from forgediag_exporters.metric import Metric, Sample, Samples
from forgediag_exporters.metrics_gpu import GPU_LABELS, each_gpu

LANE_BYTES = {1: 250e6, 2: 500e6, 3: 1e9 * 128 / 130, 4: 2e9 * 128 / 130, 5: 4e9 * 128 / 130, 6: 8e9 * 236 / 256}
"""Bytes a PCIe lane carries in a second, by generation, line coding taken off (PCI Express Base Specification)."""


def _info(report: Report) -> Iterator[Sample]:
    nvml = report.snapshot.nvml
    if isinstance(nvml, Nvml):
        for labels, gpu in each_gpu(report):
            capability = gpu.info.compute_capability
            shown = f"{capability[0]}.{capability[1]}" if capability else "unknown"
            yield (*labels, gpu.info.name, nvml.driver, shown), 1.0


def _driver(report: Report) -> Iterator[Sample]:
    nvml = report.snapshot.nvml
    if isinstance(nvml, Nvml):
        yield (nvml.driver, f"{nvml.cuda[0]}.{nvml.cuda[1]}" if nvml.cuda else "unknown"), 1.0


def _static(*kinds: tuple[str | None, Callable[[GpuInfo], float | None]]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for labels, gpu in each_gpu(report):
            for kind, value in kinds:
                if (number := value(gpu.info)) is not None:
                    yield (labels if kind is None else (*labels, kind)), number

    return samples


def _bandwidth(generation: int | None, width: int | None) -> float | None:
    lane = LANE_BYTES.get(generation or 0)
    return None if lane is None or width is None else round(lane * width)


def _host(report: Report) -> Iterator[Sample]:
    host = report.snapshot.host
    if isinstance(host, Host):
        yield ("total",), host.ram_total
        yield ("available",), host.ram_available
        yield ("swap_total",), host.swap_total
        yield ("swap_free",), host.swap_free


MACHINE_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_gpu_info",
        "gauge",
        "Name, driver and compute capability of a GPU; always 1.",
        (*GPU_LABELS, "name", "driver", "compute_capability"),
        "Which cards are there?",
        _info,
    ),
    Metric(
        "forge_gpu_driver_info",
        "gauge",
        "Version of the driver, and the newest CUDA it supports; always 1.",
        ("driver", "cuda"),
        "Can torch's CUDA work here?",
        _driver,
    ),
    Metric(
        "forge_gpu_power_limit_watts",
        "gauge",
        "Power limits: in force, the default, and the highest that may be set.",
        (*GPU_LABELS, "kind"),
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
        (*GPU_LABELS, "kind"),
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
        (*GPU_LABELS, "kind"),
        "How fast could it be?",
        _static(("sm", lambda info: info.max_sm_clock), ("memory", lambda info: info.max_memory_clock)),
    ),
    Metric(
        "forge_gpu_pcie_generation",
        "gauge",
        "PCIe generation of the link, now (it drops at idle) and at most.",
        (*GPU_LABELS, "kind"),
        "Is the slot slow?",
        _static(("current", lambda info: info.pcie_generation), ("max", lambda info: info.pcie_max_generation)),
    ),
    Metric(
        "forge_gpu_pcie_width_lanes",
        "gauge",
        "PCIe lanes of the link, now and at most.",
        (*GPU_LABELS, "kind"),
        "Is the slot narrow?",
        _static(("current", lambda info: info.pcie_width), ("max", lambda info: info.pcie_max_width)),
    ),
    Metric(
        "forge_gpu_pcie_bandwidth_bytes_per_second",
        "gauge",
        "What the PCIe link can carry in one direction, now (it drops at idle) and at most.",
        (*GPU_LABELS, "kind"),
        "How fast can swapped weights come?",
        _static(
            ("current", lambda info: _bandwidth(info.pcie_generation, info.pcie_width)),
            ("max", lambda info: _bandwidth(info.pcie_max_generation, info.pcie_max_width)),
        ),
    ),
    Metric(
        "forge_gpu_display_active",
        "gauge",
        "Whether a display is driven by this card: a desktop takes memory from it.",
        GPU_LABELS,
        "Does a monitor share the card?",
        _static((None, lambda info: info.display_active)),
    ),
    Metric(
        "forge_gpu_persistence_mode",
        "gauge",
        "Whether the driver stays loaded without a client.",
        GPU_LABELS,
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
