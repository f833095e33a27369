from __future__ import annotations

import threading

import pytest

from forgediag.model import MB, Gap, GpuProcess, GpuTelemetry, Nvml
from forgediag.sources.nvml_library import LIBRARY_NOT_FOUND
from forgediag.sources.sampler import Sampler
from forgediag.testing.gpu import JOB, PHASES, SimulatedGpu
from forgediag.testing.nvml import SimulatedNvml, SimulatedNvmlError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gpu(clock: Clock) -> SimulatedGpu:
    return SimulatedGpu(clock=clock)


def test_a_phase_is_reached_by_a_ramp(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.set_phase("unet_load")
    clock.now = PHASES["unet_load"].ramp / 2
    half = gpu.forge_memory()
    clock.now = 10
    assert half == pytest.approx((620 + 5720) / 2 * MB, rel=0.001)
    assert gpu.forge_memory() == 5720 * MB


def test_the_decode_has_a_short_peak(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.set_phase("sampling")
    clock.now = 5.0
    gpu.set_phase("vae_decode")
    sizes = []
    for step in range(40):
        clock.now = 5.0 + step / 100
        sizes.append(gpu.forge_memory() // MB)
    assert max(sizes) == 6190 + 2180
    assert sizes[-1] == 6190


def test_a_simulated_forge_says_what_it_holds(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.set_phase("vae_decode", 7000 * MB)
    sizes = []
    for step in range(40):
        clock.now = step / 100
        sizes.append(gpu.forge_memory() // MB)
    assert max(sizes) == sizes[-1] == 7000


def test_a_job_goes_through_its_phases_and_ends_idle(clock: Clock, gpu: SimulatedGpu) -> None:
    seconds = gpu.start_job()
    seen: list[str] = []
    for step in range(round(seconds * 20) + 20):
        clock.now = step / 20
        if not seen or seen[-1] != gpu.phase:
            seen.append(gpu.phase)
    assert seen == [*(phase for phase, _ in JOB), "idle"]


def test_setting_a_phase_ends_a_planned_job(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.start_job()
    gpu.set_phase("idle")
    clock.now = 3.0
    assert gpu.phase == "idle"


def test_held_memory_comes_on_top_for_its_time(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.hold(4096 * MB, 0.03)
    before = gpu.forge_memory()
    clock.now = 0.04
    assert (before, gpu.forge_memory()) == ((620 + 4096) * MB, 620 * MB)


def test_memory_never_exceeds_the_card(gpu: SimulatedGpu) -> None:
    gpu.hold(10**12, 1)
    library = SimulatedNvml(gpu)
    library.nvmlInit()
    assert library.nvmlDeviceGetMemoryInfo(gpu, library.nvmlMemory_v2).free == 0


def test_v1_counts_the_reserved_part_as_used(gpu: SimulatedGpu) -> None:
    library = SimulatedNvml(gpu)
    library.nvmlInit()
    v1, v2 = library.nvmlDeviceGetMemoryInfo(gpu), library.nvmlDeviceGetMemoryInfo(gpu, library.nvmlMemory_v2)
    assert v1.used == v2.used + v2.reserved
    assert v1.free == v2.free


def test_temperature_rises_slowly_and_power_at_once(clock: Clock, gpu: SimulatedGpu) -> None:
    library = SimulatedNvml(gpu)
    library.nvmlInit()
    cold = library.nvmlDeviceGetTemperature(gpu, 0)
    gpu.set_phase("sampling")
    power = library.nvmlDeviceGetPowerUsage(gpu)
    clock.now = 20
    warm = library.nvmlDeviceGetTemperatureV(gpu, 0)
    clock.now = 200
    assert (cold, library.nvmlDeviceGetTemperature(gpu, 0)) == (36, 73)
    assert 55 < warm < 65
    assert power > 180_000


def snapshot(library: SimulatedNvml, clock: Clock) -> Nvml:
    sampler = Sampler(library.load, clock=clock)
    sampler.tick()
    nvml = sampler.snapshot()
    assert isinstance(nvml, Nvml), nvml
    return nvml


def test_the_sampler_reads_it_like_a_card(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.set_phase("sampling")
    found = snapshot(SimulatedNvml(gpu), clock).gpus[0]
    assert found.info.name == "NVIDIA GeForce RTX 4070 (simulated)"
    assert found.info.compute_capability == (8, 9)
    assert found.processes == (GpuProcess(4711, 620 * MB), GpuProcess(1999, 780 * MB))
    assert isinstance(found.telemetry, GpuTelemetry)
    assert found.telemetry.utilization == pytest.approx(0.98)
    assert (found.telemetry.sm_clock, found.telemetry.memory_clock) == (2730e6, 10_251e6)
    assert (found.telemetry.throttle_reasons, found.telemetry.performance_state) == (0, 2)
    assert (found.info.slowdown_temperature, found.info.display_active) == (96.0, True)


def test_windows_tells_no_memory_of_processes(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.wddm = True
    assert snapshot(SimulatedNvml(gpu), clock).gpus[0].processes == (GpuProcess(4711, None), GpuProcess(1999, None))


def test_a_lost_card_is_a_gap(clock: Clock, gpu: SimulatedGpu) -> None:
    gpu.lost = True
    memory = snapshot(SimulatedNvml(gpu), clock).gpus[0].memory
    assert isinstance(memory, Gap)
    assert memory.kind == "lost"


def test_a_hang_lasts_until_released(gpu: SimulatedGpu) -> None:
    library = SimulatedNvml(gpu)
    library.hang()
    thread = threading.Thread(target=library.nvmlInit, daemon=True)
    thread.start()
    thread.join(0.05)
    hanging = thread.is_alive()
    library.release()
    thread.join(1.0)
    assert hanging
    assert not thread.is_alive()


def test_the_older_names_answer_the_same(gpu: SimulatedGpu) -> None:
    library = SimulatedNvml(gpu)
    library.nvmlInit()
    assert library.nvmlDeviceGetComputeRunningProcesses_v2(gpu) == library.nvmlDeviceGetComputeRunningProcesses_v3(gpu)
    assert library.nvmlDeviceGetCurrentClocksEventReasons(gpu) == 1


def test_an_error_carries_nvmls_code() -> None:
    assert SimulatedNvmlError(LIBRARY_NOT_FOUND).value == 12
