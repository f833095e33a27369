"""What the fake driver promises, seen through the real pynvml."""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml

GIB = 1024**3


@pytest.fixture
def nvml(fake_nvml: FakeNvml) -> Any:
    module = importlib.import_module("pynvml")
    module.nvmlInit()
    return module


def used(nvml: Any, gpu: int = 0) -> int:
    handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
    return int(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).used)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0.5, 1.0), (1.0, 4.0), (1.1, 6.0), (1.2, 8.0), (1.9, 8.0), (2.01, 12.0), (2.03, 8.0), (5.0, 2.0)],
)
def test_memory_follows_a_timeline(fake_nvml: FakeNvml, nvml: Any, at: float, expected: float) -> None:
    fake_nvml.write(
        "gpu.0.used = 1G\n@1.0-1.2 gpu.0.used = 4G..8G  \n@2-2.03 gpu.0.used += 4G\n# a comment\n@5 gpu.0.used = 2G\n"
    )
    fake_nvml.freeze(at)
    assert used(nvml) / GIB == pytest.approx(expected, rel=1e-6)


def test_a_spike_lasts_as_long_as_it_was_told(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.write("gpu.0.used = 1G\n")
    fake_nvml.spike(0, 4 * GIB, 0.05)
    during = used(nvml)
    time.sleep(0.06)
    assert (during, used(nvml)) == (5 * GIB, 1 * GIB)


def test_sixty_four_gpus_with_sixty_four_processes(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.write("gpus = 64\n" + "".join(f"gpu.*.proc.{pid} = {pid}M\n" for pid in range(1, 65)))
    last = nvml.nvmlDeviceGetHandleByIndex(63)
    found = nvml.nvmlDeviceGetComputeRunningProcesses_v3(last)
    assert nvml.nvmlDeviceGetCount() == 64
    assert [process.usedGpuMemory for process in found] == [pid * 1024**2 for pid in range(1, 65)]


def test_errors_are_per_function_and_per_gpu(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.write("gpus = 2\ngpu.1.used = 3G\nerror.nvmlDeviceGetMemoryInfo_v2.0 = NO_PERMISSION\n")
    with pytest.raises(nvml.NVMLError_NoPermission):
        used(nvml, 0)
    assert used(nvml, 1) == 3 * GIB


def test_a_reloaded_driver_wants_a_new_init(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.reload_driver()
    with pytest.raises(nvml.NVMLError_Uninitialized):
        used(nvml)
    nvml.nvmlInit()
    assert used(nvml) > 0


def test_latency_is_taken(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.write("rm_lock = 1\nlatency.nvmlDeviceGetMemoryInfo_v2 = 0.02\n")
    began = time.perf_counter()
    used(nvml)
    assert time.perf_counter() - began >= 0.02


def test_a_call_hangs_until_released(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.hang("nvmlDeviceGetMemoryInfo_v2")
    thread = threading.Thread(target=used, args=(nvml,), daemon=True)
    thread.start()
    thread.join(0.1)
    hanging = thread.is_alive()
    fake_nvml.release()
    thread.join(1.0)
    assert hanging
    assert not thread.is_alive()


def test_calls_are_counted_by_function_and_gpu(fake_nvml: FakeNvml, nvml: Any) -> None:
    fake_nvml.write("gpus = 2\n")
    used(nvml, 1)
    assert fake_nvml.calls("nvmlDeviceGetMemoryInfo_v2") == 1
    assert (fake_nvml.gpu_calls(0), fake_nvml.gpu_calls(1)) == (0, 2)
    assert fake_nvml.calls_by_function() == {
        "nvmlInitWithFlags": 1,
        "nvmlDeviceGetHandleByIndex_v2": 1,
        "nvmlDeviceGetMemoryInfo_v2": 1,
    }


def test_there_is_no_mig(nvml: Any) -> None:
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(0))
