"""What facts about a card become in the metric table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from forgediag.model import (
    MB,
    Distribution,
    Gap,
    GpuMemory,
    GpuProcess,
    GpuTelemetry,
    Nvml,
    Report,
)
from forgediag.testing.facts import GIB, PROCESS
from forgediag.testing.reports import gpu, report, with_gpu

Samples = Callable[[str, Report], Mapping[tuple[str, ...], float | Distribution]]
GAP = Gap("not known", "missing")


def test_memory_of_a_card_is_shared_between_forge_and_everything_else(samples: Samples) -> None:
    given = report(2)
    cards = given.snapshot.nvml
    assert isinstance(cards, Nvml)
    first, second = cards.gpus
    assert not isinstance(first.memory, Gap)
    assert not isinstance(second.memory, Gap)
    assert samples("forge_gpu_process_memory_bytes", given) == {
        ("0", first.info.uuid, "forge"): first.memory.used - 500 * MB,
        ("0", first.info.uuid, "other"): 500 * MB,
        ("1", second.info.uuid, "forge"): 0,
        ("1", second.info.uuid, "other"): second.memory.used,
    }


def test_a_process_that_nvml_lists_twice_is_one_series(samples: Samples) -> None:
    twice = (GpuProcess(PROCESS.pid, 2 * GIB), GpuProcess(PROCESS.pid, GIB))
    given = with_gpu(report(), processes=twice)
    held = {labels[2]: value for labels, value in samples("forge_gpu_process_memory_bytes", given).items()}
    assert held == {"forge": 3 * GIB, "other": 5 * GIB}


def test_more_memory_in_the_process_list_than_in_use_leaves_nothing_for_others(samples: Samples) -> None:
    given = with_gpu(report(), processes=(GpuProcess(PROCESS.pid, 20 * GIB),))
    held = {labels[2]: value for labels, value in samples("forge_gpu_process_memory_bytes", given).items()}
    assert held["other"] == 0


@pytest.mark.parametrize(
    "changes", [{"processes": (GpuProcess(PROCESS.pid, None),)}, {"processes": GAP}, {"memory": GAP}]
)
def test_process_memory_that_the_driver_does_not_tell_has_no_series(
    samples: Samples, changes: Mapping[str, object]
) -> None:
    assert not samples("forge_gpu_process_memory_bytes", with_gpu(report(), **changes))


def test_a_lost_gpu_keeps_its_name_and_nothing_else(samples: Samples) -> None:
    lost = Gap("fell off the bus", "lost")
    given = with_gpu(report(), memory=lost, telemetry=lost, processes=lost)
    uuid = gpu(0).info.uuid
    assert samples("forge_gpu_up", given) == {("0", uuid): 0.0}
    assert len(samples("forge_gpu_info", given)) == 1
    for name in (
        "forge_gpu_memory_bytes",
        "forge_gpu_memory_used_max_bytes",
        "forge_gpu_processes",
        "forge_gpu_utilization_ratio",
        "forge_gpu_throttled",
    ):
        assert not samples(name, given)


def test_readings_and_limits_the_driver_does_not_have_are_no_series(samples: Samples) -> None:
    card = gpu(0)
    info = replace(card.info, compute_capability=None, power_limit=None, pcie_width=None, display_active=None)
    given = with_gpu(report(), info=info, telemetry=GpuTelemetry(temperature=40.0), memory=GpuMemory(3, 2, 1, None))
    assert samples("forge_gpu_temperature_celsius", given)
    assert [labels[-1] for labels in samples("forge_gpu_info", given)] == ["unknown"]
    assert {labels[-1] for labels in samples("forge_gpu_memory_bytes", given)} == {"total", "used", "free"}
    assert {labels[-1] for labels in samples("forge_gpu_power_limit_watts", given)} == {"default", "max"}
    assert {labels[-1] for labels in samples("forge_gpu_pcie_bandwidth_bytes_per_second", given)} == {"max"}
    for name in ("forge_gpu_power_watts", "forge_gpu_throttled", "forge_gpu_display_active"):
        assert not samples(name, given)


@pytest.mark.parametrize(
    ("generation", "width", "gigabytes"), [(1, 16, 4.0), (3, 4, 3.9), (3, 16, 15.8), (4, 16, 31.5), (5, 8, 31.5)]
)
def test_a_pcie_link_carries_what_its_generation_and_width_allow(
    samples: Samples, generation: int, width: int, gigabytes: float
) -> None:
    info = replace(gpu(0).info, pcie_generation=generation, pcie_width=width)
    given = samples("forge_gpu_pcie_bandwidth_bytes_per_second", with_gpu(report(), info=info))
    value = given["0", info.uuid, "current"]
    assert isinstance(value, int)
    assert round(value / 1e9, 1) == gigabytes


def test_each_throttle_reason_is_a_series_of_its_own(samples: Samples) -> None:
    given = with_gpu(report(), telemetry=GpuTelemetry(throttle_reasons=0x44))
    held = {labels[2]: value for labels, value in samples("forge_gpu_throttled", given).items()}
    assert {reason for reason, value in held.items() if value} == {"sw_power_cap", "hw_thermal_slowdown"}
    assert len(held) == 9


@pytest.mark.parametrize(("cuda", "shown"), [((12, 4), "12.4"), (None, "unknown")])
def test_the_driver_says_which_cuda_it_supports(samples: Samples, cuda: tuple[int, int] | None, shown: str) -> None:
    given = report()
    assert isinstance(given.snapshot.nvml, Nvml)
    nvml = replace(given.snapshot.nvml, cuda=cuda)
    found = samples("forge_gpu_driver_info", replace(given, snapshot=replace(given.snapshot, nvml=nvml)))
    assert found == {("550.90", shown): 1.0}
