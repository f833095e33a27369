from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from forgediag.model import Gap, GpuInfo, GpuMemory, GpuProcess, GpuTelemetry
from forgediag.sources.nvml import Card, parse_cuda
from forgediag.sources.nvml_gaps import DriverGoneError, driver_gap
from forgediag.sources.nvml_library import Driver, RefusedError, load

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml

GIB = 1024**3


@pytest.fixture
def driver(fake_nvml: FakeNvml) -> Driver:
    opened = Driver(load(), time.perf_counter)
    opened.named("nvmlInit")
    return opened


def read(driver: Driver) -> Card:
    card = Card(driver, 0)
    card.open()
    for part in (card.read_memory, card.read_rare, card.read_telemetry, card.read_processes):
        part()
    return card


def test_facts_that_do_not_change(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write(
        "gpu.0.name = NVIDIA GeForce RTX 4090\ngpu.0.uuid = GPU-1\ngpu.0.total = 24G\ngpu.0.pcie_width = 4\n"
    )
    assert read(driver).info == GpuInfo(
        index=0,
        uuid="GPU-1",
        name="NVIDIA GeForce RTX 4090",
        total=24 * GIB,
        compute_capability=(8, 9),
        power_limit=200.0,
        max_sm_clock=3105e6,
        max_memory_clock=10501e6,
        pcie_generation=4,
        pcie_max_generation=4,
        pcie_width=4,
        pcie_max_width=16,
        default_power_limit=200.0,
        max_power_limit=215.0,
        slowdown_temperature=96.0,
        shutdown_temperature=99.0,
        display_active=False,
        persistence_mode=False,
    )


def test_memory_v2_tells_the_reserved_part_apart(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("gpu.0.total = 12G\ngpu.0.used = 4G\ngpu.0.reserved = 1G\n")
    assert read(driver).gpu(0.0).memory == GpuMemory(12 * GIB, 4 * GIB, 7 * GIB, 1 * GIB)


def test_memory_v1_counts_the_reserved_part_as_used(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write(
        "gpu.0.total = 12G\ngpu.0.used = 4G\ngpu.0.reserved = 1G\n"
        "error.nvmlDeviceGetMemoryInfo_v2 = FUNCTION_NOT_FOUND\n"
    )
    assert read(driver).gpu(0.0).memory == GpuMemory(12 * GIB, 5 * GIB, 7 * GIB, None)


def test_telemetry_in_base_units(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write(
        "gpu.0.util = 90\ngpu.0.mem_util = 40\ngpu.0.temp = 71\ngpu.0.power = 180500\ngpu.0.clock_sm = 2700\n"
        "gpu.0.clock_mem = 10251\ngpu.0.throttle = 4\ngpu.0.pstate = 2\n"
    )
    assert read(driver).gpu(0.0).telemetry == GpuTelemetry(0.9, 0.4, 71.0, 180.5, 2700e6, 10251e6, 4, 2)


def test_what_a_card_does_not_tell_is_none(fake_nvml: FakeNvml, driver: Driver) -> None:
    names = ["util", "temp", "power", "power_limit", "clock_sm", "clock_mem", "throttle", "cc_major", "max_clock_sm"]
    names += ["max_clock_mem", "pcie_gen", "pcie_max_gen", "pcie_width", "pcie_max_width", "power_limit_default"]
    names += ["power_limit_max", "temp_slowdown", "temp_shutdown", "display_active", "persistence", "pstate"]
    fake_nvml.write("gpu.0.uuid = GPU-1\n" + "".join(f"gpu.0.{name} = na\n" for name in names))
    gpu = read(driver).gpu(0.0)
    assert gpu.telemetry == GpuTelemetry()
    assert gpu.info == GpuInfo(0, "GPU-1", "NVIDIA GeForce RTX 4070", 12 * GIB)


def test_an_unknown_performance_state_is_none(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("gpu.0.pstate = 32\n")
    telemetry = read(driver).gpu(0.0).telemetry
    assert isinstance(telemetry, GpuTelemetry)
    assert telemetry.performance_state is None


def test_unreadable_memory_is_a_gap_and_comes_back(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("gpu.0.used = na\n")
    card = read(driver)
    before = card.gpu(0.0)
    fake_nvml.write("gpu.0.used = 1G\n")
    card.read_memory()
    after = card.gpu(0.0)
    assert isinstance(before.memory, Gap)
    assert before.memory.kind == "unsupported"
    assert isinstance(after.memory, GpuMemory)
    assert after.memory.reserved is not None
    assert after.info.total == 12 * GIB


def test_processes_of_windows_have_no_memory(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("gpu.0.proc.4711 = na\ngpu.0.proc.12 = 2G\n")
    assert read(driver).gpu(0.0).processes == (GpuProcess(4711, None), GpuProcess(12, 2 * GIB))


def test_no_process_is_no_gap(driver: Driver) -> None:
    assert read(driver).gpu(0.0).processes == ()


@pytest.mark.parametrize(
    ("code", "kind"), [("NOT_SUPPORTED", "unsupported"), ("NO_PERMISSION", "failed"), ("999", "failed")]
)
def test_a_refused_process_list_is_a_gap(fake_nvml: FakeNvml, driver: Driver, code: str, kind: str) -> None:
    fake_nvml.write(f"error.nvmlDeviceGetComputeRunningProcesses_v3 = {code}\n")
    processes = read(driver).gpu(0.0).processes
    assert isinstance(processes, Gap)
    assert processes.kind == kind
    assert "nvmlDeviceGetComputeRunningProcesses_v3" in processes.reason


def test_older_and_newer_names_of_a_function_are_tried(fake_nvml: FakeNvml, driver: Driver) -> None:
    gone = ["ComputeRunningProcesses_v3", "Temperature", "CurrentClocksThrottleReasons"]
    fake_nvml.write(
        "gpu.0.temp = 55\ngpu.0.throttle = 8\ngpu.0.proc.5 = 1G\n"
        + "".join(f"error.nvmlDeviceGet{name} = FUNCTION_NOT_FOUND\n" for name in gone)
    )
    card = read(driver)
    card.read_processes()
    gpu = card.gpu(0.0)
    assert isinstance(gpu.telemetry, GpuTelemetry)
    assert (gpu.telemetry.temperature, gpu.telemetry.throttle_reasons) == (55.0, 8)
    assert gpu.processes == (GpuProcess(5, GIB),)
    assert fake_nvml.calls("nvmlDeviceGetComputeRunningProcesses_v3") == 1


def test_a_lost_gpu_is_a_gap_in_every_part(fake_nvml: FakeNvml, driver: Driver) -> None:
    card = read(driver)
    fake_nvml.write("gpu.0.lost = 1\n")
    card.read_memory()
    gpu = card.gpu(0.0)
    assert isinstance(gpu.memory, Gap)
    assert gpu.memory == gpu.telemetry == gpu.processes
    assert gpu.memory.kind == "lost"
    assert "GPU 0 (NVIDIA GeForce RTX 4070) is lost" in gpu.memory.reason
    assert gpu.peaks == {}
    assert gpu.info.uuid


@pytest.mark.parametrize("part", ["read_telemetry", "read_rare", "read_processes"])
def test_a_gpu_lost_between_two_calls_hurts_only_that_part(fake_nvml: FakeNvml, driver: Driver, part: str) -> None:
    card = read(driver)
    fake_nvml.write("gpu.0.lost = 1\n")
    getattr(card, part)()
    assert isinstance(card.gpu(0.0).memory, GpuMemory)


def test_a_gpu_lost_from_the_start_is_listed_without_a_name(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("gpu.0.lost = 1\n")
    card = Card(driver, 0)
    card.open()
    assert card.read_memory() is None
    assert card.lost
    assert card.gpu(0.0).info == GpuInfo(0, "", "unknown", 0)


def test_a_gpu_lost_while_its_facts_are_read_has_none_of_them(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("error.nvmlDeviceGetUUID = GPU_IS_LOST\n")
    assert read(driver).info.uuid == ""


def test_memory_that_fails_at_first_is_read_with_v2_later(fake_nvml: FakeNvml, driver: Driver) -> None:
    fake_nvml.write("error.nvmlDeviceGetMemoryInfo_v2 = 999\n")
    card = Card(driver, 0)
    card.open()
    first = card.gpu(0.0).memory
    fake_nvml.write("gpu.0.reserved = 1G\n")
    card.read_memory()
    memory = card.gpu(0.0).memory
    assert isinstance(first, Gap)
    assert first.kind == "failed"
    assert isinstance(memory, GpuMemory)
    assert memory.reserved == GIB


def test_a_function_that_this_pynvml_lacks_is_not_found(driver: Driver) -> None:
    with pytest.raises(RefusedError, match="nvmlNoSuchFunction answers Function Not Found"):
        driver.named("nvmlNoSuchFunction")
    assert driver.optional("nvmlNoSuchFunction") is None


@pytest.mark.parametrize("part", ["open", "read_memory", "read_telemetry", "read_rare", "read_processes"])
def test_a_reloaded_driver_is_told_by_every_call(fake_nvml: FakeNvml, driver: Driver, part: str) -> None:
    card = read(driver)
    fake_nvml.reload_driver()
    with pytest.raises(DriverGoneError, match="Uninitialized") as gone:
        getattr(card, part)()
    assert gone.value.code == 1


def test_a_name_that_is_no_text_is_unknown(fake_nvml: FakeNvml, driver: Driver) -> None:
    (fake_nvml.folder / "state").write_bytes(b"gpu.0.name = \xff\xfe\xff\n")
    fake_nvml._set(16, 99)
    assert read(driver).info.name == "unknown"


@pytest.mark.parametrize(
    ("code", "worked", "hardware", "kind", "expected", "says"),
    [
        (12, False, False, "missing", True, "no NVIDIA GPU here"),
        (9, False, False, "missing", True, "no NVIDIA GPU here"),
        (12, False, True, "missing", False, "install the NVIDIA driver"),
        (9, False, True, "missing", False, "modprobe nvidia"),
        (18, False, True, "lost", False, "reboot"),
        (18, True, True, "lost", False, "reboot"),
        (1, True, True, "lost", False, "tried again"),
        (999, False, True, "failed", False, "nvidia-smi"),
    ],
)
def test_no_driver_says_why_and_what_to_do(
    code: int, kind: str, says: str, *, worked: bool, hardware: bool, expected: bool
) -> None:
    gap = driver_gap(code, worked=worked, hardware=hardware)
    assert (gap.kind, gap.expected) == (kind, expected)
    assert says in gap.reason
    assert "\n" not in gap.reason


@pytest.mark.parametrize(("version", "cuda"), [(13000, (13, 0)), (12080, (12, 8)), (11040, (11, 4)), (None, None)])
def test_cuda_versions(version: int | None, cuda: tuple[int, int] | None) -> None:
    assert parse_cuda(version) == cuda
