"""Which GPU is a Forge's: joined by UUID, and a gap rather than a guess."""

from __future__ import annotations

import pytest

from forgediag.model import Flags, Forge, Gap, Gpu, GpuInfo, GpuMemory, GpuProcess, Known, Nvml, Process
from forgediag.observe import gpu_of

UNREAD = Gap("not asked", "starting")
DOWN = Gap("down", "refused")


def gpu(index: int, name: str = "RTX", processes: Known[tuple[GpuProcess, ...]] = ()) -> Gpu:
    return Gpu(GpuInfo(index, f"GPU-{index}abc", name, 100), GpuMemory(100, 10, 90, 0), processes=processes)


def nvml(*gpus: Gpu) -> Nvml:
    return Nvml("580.1", (13, 0), gpus)


def forge(*, cpu: bool = False) -> Forge:
    return Forge("http://x", "forge", UNREAD, UNREAD, UNREAD, UNREAD, Flags({"always_cpu": cpu}), UNREAD)


def process(visible: str | None = None, flag: str | None = None) -> Process:
    return Process(7, 0, 0.0, "/opt", visible, flag)


def joined(gpus: Nvml, here: Known[Process], configured: str | None = None, *, local: bool = True) -> int | Gap:
    found = gpu_of(gpus, here, forge(), configured, local=local)
    return found if isinstance(found, Gap) else found.info.index


def test_without_nvml_its_gap_stands() -> None:
    assert gpu_of(DOWN, process(), forge(), None, local=True) == DOWN


def test_the_configured_gpu_comes_first_by_index_or_uuid() -> None:
    two = nvml(gpu(0, processes=(GpuProcess(7, 5),)), gpu(1))
    assert joined(two, process(), "1") == 1
    assert joined(two, process(), "gpu-1A") == 1


def test_a_configured_gpu_that_is_not_there_is_told_with_those_that_are() -> None:
    found = joined(nvml(gpu(0)), process(), "3")
    assert isinstance(found, Gap)
    assert "0 = GPU-0abc" in found.reason
    nothing = joined(nvml(), process(), "3")
    assert isinstance(nothing, Gap)
    assert "no GPU at all" in nothing.reason


def test_a_remote_forges_gpu_is_not_ours() -> None:
    found = joined(nvml(gpu(0)), DOWN, local=False)
    assert isinstance(found, Gap)
    assert found.expected


def test_a_forge_on_the_cpu_has_none() -> None:
    found = gpu_of(nvml(gpu(0)), process(), forge(cpu=True), None, local=True)
    assert isinstance(found, Gap)
    assert found.expected


def test_the_gpu_that_lists_the_process_beats_the_environment() -> None:
    two = nvml(gpu(0), gpu(1, processes=(GpuProcess(9, 50), GpuProcess(7, 5))))
    assert joined(two, process(visible="0")) == 1


def test_of_two_gpus_that_list_it_the_one_with_most_memory() -> None:
    two = nvml(gpu(0, processes=(GpuProcess(7, None),)), gpu(1, processes=(GpuProcess(7, 5),)))
    assert joined(two, process()) == 1


def test_a_gpu_whose_processes_are_unknown_is_passed_over() -> None:
    assert joined(nvml(gpu(0, processes=DOWN), gpu(1)), process(visible="1")) == 1


@pytest.mark.parametrize(
    ("visible", "flag", "index"),
    [("1,0", None, 1), ("GPU-1", None, 1), ("0", "1", 1), (" 0 ", None, 0)],
)
def test_cuda_visible_devices_and_the_flag_that_sets_it(visible: str, flag: str | None, index: int) -> None:
    assert joined(nvml(gpu(0), gpu(1)), process(visible, flag)) == index


@pytest.mark.parametrize(
    ("visible", "told", "expected"),
    [
        ("", "hides every GPU", True),
        ("-1", "hides every GPU", True),
        ("MIG-1", "MIG instance", False),
        ("9", "none of", False),
    ],
)
def test_a_device_that_cannot_be_measured_is_a_gap(visible: str, told: str, expected: bool) -> None:
    found = joined(nvml(gpu(0), gpu(1)), process(visible))
    assert isinstance(found, Gap)
    assert told in found.reason
    assert found.expected is expected


def test_a_number_is_not_trusted_among_different_cards() -> None:
    found = joined(nvml(gpu(0, "RTX 3060"), gpu(1, "RTX 4090")), process("0"))
    assert isinstance(found, Gap)
    assert "fastest" in found.reason or "need not be NVML's" in found.reason


def test_the_only_gpu_is_forges() -> None:
    assert joined(nvml(gpu(0)), process()) == 0
    assert joined(nvml(gpu(0)), DOWN) == 0


def test_of_several_nothing_is_guessed() -> None:
    found = joined(nvml(gpu(0), gpu(1)), DOWN)
    assert isinstance(found, Gap)
    assert "set gpu in the config" in found.reason


def test_a_forge_that_is_down_may_still_have_its_gpu() -> None:
    assert gpu_of(nvml(gpu(0)), DOWN, DOWN, None, local=True) == gpu(0)
