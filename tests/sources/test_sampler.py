"""The sampler's decisions, in scripted time over simulated cards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from forgediag.model import MB, Gap, Gpu, GpuMemory, GpuTelemetry, Nvml
from forgediag.sources.nvml_library import Driver
from forgediag.sources.sampler import RETRY, RETRY_FAILING, RETRY_MISSING, Sampler
from forgediag.testing.gpu import SimulatedGpu
from forgediag.testing.nvml import SimulatedNvml


class Clock:
    """Scripted time; each library call may take `cost` seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted(SimulatedNvml):
    """Counts device calls by name and lets each take some time."""

    def __init__(self, clock: Clock, *gpus: SimulatedGpu) -> None:
        super().__init__(*gpus)
        self.counts: Counter[str] = Counter()
        self.cost = 0.0
        self._clock = clock

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.startswith("nvmlDeviceGet"):
            return value

        def counted(*arguments: object) -> Any:
            self.counts[name] += 1
            self._clock.now += self.cost
            return value(*arguments)

        counted.__name__ = name
        return counted


class Bench:
    def __init__(self, gpus: int = 1, **options: Any) -> None:
        self.clock = Clock()
        self.gpus = [SimulatedGpu(clock=self.clock, uuid=f"GPU-{i}") for i in range(gpus)]
        self.library = Counted(self.clock, *self.gpus)
        self.hardware = True
        self.sampler = Sampler(self.library.load, clock=self.clock, hardware=lambda: self.hardware, **options)

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while (due := self.sampler.tick()) <= end:
            self.clock.now = max(due, self.clock.now)
        self.clock.now = max(end, self.clock.now)

    def counted(self, seconds: float) -> Counter[str]:
        self.library.counts.clear()
        self.run(seconds)
        return self.library.counts

    @property
    def nvml(self) -> Nvml:
        nvml = self.sampler.snapshot()
        assert isinstance(nvml, Nvml), nvml
        return nvml

    @property
    def gpu(self) -> Gpu:
        return self.nvml.gpus[0]


MEMORY = "nvmlDeviceGetMemoryInfo"


def test_before_the_first_read_the_snapshot_is_a_gap() -> None:
    sampler = Sampler(SimulatedNvml().load)
    assert sampler.snapshot() == Gap("NVML is not read yet", "starting")
    assert (sampler.lag, sampler.calls, sampler.stuck) == (None, 0, None)


def test_everything_is_there_after_the_first_tick() -> None:
    bench = Bench()
    bench.sampler.tick()
    gpu = bench.gpu
    assert (bench.nvml.driver, bench.nvml.cuda) == ("580.95.05", (13, 0))
    assert gpu.memory == GpuMemory(12282 * MB, (620 + 780) * MB, (12282 - 268 - 1400) * MB, 268 * MB)
    assert isinstance(gpu.telemetry, GpuTelemetry)
    assert None not in (gpu.telemetry.memory_clock, gpu.telemetry.throttle_reasons, gpu.telemetry.sm_clock)
    assert isinstance(gpu.processes, tuple)
    assert len(gpu.processes) == 2
    assert gpu.peaks == dict.fromkeys((15, 60, 300), 1400 * MB)


@pytest.mark.parametrize("gpus", [1, 64])
def test_an_idle_gpu_costs_at_most_six_calls_a_second(gpus: int) -> None:
    bench = Bench(gpus)
    bench.run(5)
    counts = bench.counted(60)
    process_lists = counts["nvmlDeviceGetComputeRunningProcesses_v3"]
    assert counts[MEMORY] == 60 * gpus
    assert process_lists == 6 * gpus
    assert (counts.total() + process_lists) / 60 / gpus <= 6


def test_slow_calls_are_never_made_periodically() -> None:
    bench = Bench()
    bench.run(5)
    assert set(bench.counted(60)) == {
        MEMORY,
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
        "nvmlDeviceGetPerformanceState",
        "nvmlDeviceGetComputeRunningProcesses_v3",
    }


def test_a_job_is_sampled_a_hundred_times_a_second() -> None:
    bench = Bench()
    bench.run(5)
    bench.sampler.job_running(True)
    counts = bench.counted(10)
    assert counts[MEMORY] == pytest.approx(1000, abs=2)
    assert counts["nvmlDeviceGetPowerUsage"] == 10
    assert counts["nvmlDeviceGetComputeRunningProcesses_v3"] == 5


def test_after_a_job_sampling_is_slow_again() -> None:
    bench = Bench()
    bench.sampler.job_running(True)
    bench.run(5)
    bench.sampler.job_running(False)
    bench.run(1)
    assert bench.counted(10)[MEMORY] == 10


def test_only_the_gpus_of_a_job_are_sampled_fast() -> None:
    bench = Bench(8)
    bench.run(5)
    bench.sampler.job_running(True, {"GPU-3"})
    assert bench.counted(10)[MEMORY] == pytest.approx(1000 + 7 * 10, abs=3)


def test_many_busy_gpus_share_a_budget() -> None:
    bench = Bench(64)
    bench.sampler.job_running(True)
    bench.run(1)
    assert bench.counted(10)[MEMORY] <= 10_100


def test_moving_memory_is_sampled_fast_for_two_seconds() -> None:
    bench = Bench()
    bench.run(5)
    bench.gpus[0].hold(4096 * MB, 1.5)
    counts = bench.counted(10)
    assert 200 < counts[MEMORY] < 500


def test_small_movements_stay_slow() -> None:
    bench = Bench()
    bench.run(5)
    bench.gpus[0].hold(15 * MB, 1.5)
    assert bench.counted(10)[MEMORY] == 10


def test_creeping_memory_moves_too() -> None:
    bench = Bench()
    bench.run(5)
    for _ in range(4):
        bench.gpus[0].hold(5 * MB, 60)
        bench.run(1)
    assert bench.counted(1)[MEMORY] > 50


def test_a_30_ms_peak_in_a_job_is_seen_and_kept_for_every_reader() -> None:
    bench = Bench()
    bench.sampler.job_running(True)
    bench.run(5)
    bench.gpus[0].hold(4096 * MB, 0.03)
    bench.run(10)
    first, second = bench.gpu.peaks, bench.gpu.peaks
    assert first == second == dict.fromkeys((15, 60, 300), (1400 + 4096) * MB)


def test_peaks_leave_each_window_in_time() -> None:
    bench = Bench()
    bench.gpus[0].hold(4096 * MB, 0.5)
    bench.run(30)
    assert bench.gpu.peaks == {15: 1400 * MB, 60: 5496 * MB, 300: 5496 * MB}


def test_slow_readings_do_not_hold_up_fast_ones() -> None:
    bench = Bench(64)
    bench.library.cost = 100e-6
    bench.sampler.job_running(True, {"GPU-0"})
    bench.run(5)
    worst = 0.0
    for _ in range(300):
        bench.clock.now = max(bench.sampler.tick(), bench.clock.now)
        worst = max(worst, bench.sampler.lag or 0.0)
    counts = bench.counted(10)
    assert counts[MEMORY] == pytest.approx(1000 + 63 * 10, rel=0.02)
    assert counts["nvmlDeviceGetPowerUsage"] == pytest.approx(640, rel=0.1)
    assert worst < 0.1


def test_lag_tells_how_late_a_sample_was() -> None:
    bench = Bench()
    bench.run(5)
    assert bench.sampler.lag == pytest.approx(0.0)
    bench.clock.now = bench.sampler.tick() + 3.0
    waiting = bench.sampler.lag
    bench.sampler.tick()
    assert waiting == pytest.approx(3.0)
    assert bench.sampler.lag == pytest.approx(3.0)


def test_missed_samples_are_skipped_not_made_up_for() -> None:
    bench = Bench()
    bench.run(5)
    bench.clock.now += 60
    assert bench.counted(1)[MEMORY] <= 2


def test_a_lost_gpu_is_a_gap_and_the_others_go_on() -> None:
    bench = Bench(2)
    bench.run(2)
    bench.gpus[0].lost = True
    bench.run(2)
    lost, well = bench.nvml.gpus
    assert isinstance(lost.memory, Gap)
    assert lost.memory.kind == "lost"
    assert lost.info.uuid == "GPU-0"
    assert isinstance(well.memory, GpuMemory)


def test_a_lost_gpu_is_asked_once_a_second_even_in_a_job() -> None:
    bench = Bench()
    bench.run(2)
    bench.sampler.job_running(True)
    bench.gpus[0].lost = True
    bench.run(2)
    assert bench.counted(10) == {MEMORY: 10}


def test_a_gpu_that_is_found_again_has_its_peaks() -> None:
    bench = Bench()
    bench.gpus[0].hold(4096 * MB, 0.5)
    bench.run(5)
    bench.gpus[0].lost = True
    bench.run(RETRY_FAILING + 5)
    bench.gpus[0].lost = False
    bench.run(2)
    assert bench.gpu.peaks[300] == 5496 * MB


def test_a_gpu_lost_from_the_start_comes_with_its_name_after_a_new_init() -> None:
    bench = Bench()
    bench.gpus[0].lost = True
    bench.run(5)
    before = bench.gpu.info
    bench.gpus[0].lost = False
    bench.run(RETRY_FAILING + 1)
    assert (before.name, before.uuid) == ("unknown", "")
    assert bench.gpu.info.uuid == "GPU-0"


def test_nothing_is_initialised_again_for_a_lost_gpu_while_a_job_runs() -> None:
    bench = Bench(2)
    bench.run(2)
    bench.gpus[0].lost = True
    bench.sampler.job_running(True)
    assert bench.counted(RETRY_FAILING + 10)["nvmlDeviceGetHandleByIndex"] == 0


def test_a_reloaded_driver_is_a_gap_and_then_back() -> None:
    bench = Bench()
    bench.run(2)
    bench.library.reload()
    bench.run(1)
    gap = bench.sampler.snapshot()
    bench.run(RETRY)
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.expected) == ("lost", False)
    assert isinstance(bench.gpu.memory, GpuMemory)


@pytest.mark.parametrize("hardware", [True, False])
def test_a_missing_driver_is_expected_only_without_hardware(*, hardware: bool) -> None:
    bench = Bench()
    bench.library.missing, bench.hardware = True, hardware
    bench.run(1)
    gap = bench.sampler.snapshot()
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.expected) == ("missing", not hardware)


def test_a_driver_installed_later_is_found() -> None:
    bench = Bench()
    bench.library.missing, bench.hardware = True, False
    bench.run(1)
    bench.library.missing = False
    bench.run(RETRY_MISSING)
    assert isinstance(bench.gpu.memory, GpuMemory)


def test_a_driver_without_gpus_is_no_gap() -> None:
    bench = Bench(0)
    bench.run(2)
    assert bench.nvml.gpus == ()


def entered(sampler: Sampler, name: str, at: float) -> None:
    driver = sampler._driver
    assert isinstance(driver, Driver)

    def function() -> None: ...

    function.__name__ = name
    driver._function, driver._entered = function, at


@pytest.mark.parametrize(("seconds", "stuck"), [(0.4, False), (0.6, True)])
def test_a_call_of_over_half_a_second_hides_everything(seconds: float, *, stuck: bool) -> None:
    bench = Bench()
    bench.run(2)
    entered(bench.sampler, MEMORY, bench.clock.now - seconds)
    gap = bench.sampler.stuck
    assert (gap is not None) is stuck
    assert isinstance(bench.sampler.snapshot(), Gap) is stuck
    if gap is not None:
        assert (gap.kind, gap.reason) == (
            "hung",
            f"the NVIDIA driver hangs: {MEMORY} has not returned for 0.6 s",
        )


def test_a_first_init_may_take_seconds() -> None:
    bench = Bench()
    bench.library.missing = True
    bench.run(1)
    entered(bench.sampler, "nvmlInit", bench.clock.now - 9)
    slow = bench.sampler.stuck
    entered(bench.sampler, "nvmlInit", bench.clock.now - 11)
    assert slow is None
    assert bench.sampler.stuck is not None


def test_another_rate_is_kept() -> None:
    bench = Bench(idle_hz=5.0, busy_hz=50.0, windows=(10,))
    bench.run(5)
    idle = bench.counted(10).copy()
    bench.sampler.job_running(True)
    busy = bench.counted(10)
    assert idle[MEMORY] == 50
    assert idle["nvmlDeviceGetPowerUsage"] == 10
    assert busy[MEMORY] == pytest.approx(500, abs=2)
    assert list(bench.gpu.peaks) == [10]


def test_a_slow_idle_rate_slows_telemetry_too() -> None:
    bench = Bench(idle_hz=0.2)
    bench.run(5)
    counts = bench.counted(60)
    assert (counts[MEMORY], counts["nvmlDeviceGetPowerUsage"]) == (12, 12)


def test_overload_is_seen_as_lag_and_ends() -> None:
    bench = Bench(8)
    bench.run(1)
    bench.library.cost = 0.1
    bench.run(20)
    late = bench.sampler.lag or 0.0
    bench.library.cost = 0.0
    bench.run(5)
    assert late > 1.0
    assert bench.sampler.lag == pytest.approx(0.0, abs=0.01)
