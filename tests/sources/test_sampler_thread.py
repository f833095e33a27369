"""The sampler's thread over the real pynvml and a fake driver."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from forgediag.model import Gap, Nvml
from forgediag.sources.sampler import Sampler

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml

GIB = 1024**3
MEMORY = "nvmlDeviceGetMemoryInfo_v2"


def wait(condition: Callable[[], object], seconds: float) -> float:
    """Wait for something to hold and return how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
def sampler(fake_nvml: FakeNvml) -> Iterator[Sampler]:
    running = Sampler()
    running.start()
    wait(lambda: isinstance(running.snapshot(), Nvml), 5)
    yield running
    fake_nvml.release()
    running.stop()


def peaks(sampler: Sampler, gpu: int = 0) -> dict[int, int]:
    nvml = sampler.snapshot()
    assert isinstance(nvml, Nvml), nvml
    return dict(nvml.gpus[gpu].peaks)


def test_spikes_of_30_ms_in_a_job_are_in_both_readers_windows(fake_nvml: FakeNvml, sampler: Sampler) -> None:
    fake_nvml.write("gpu.0.total = 24G\ngpu.0.used = 1G\n")
    sampler.job_running(True)
    time.sleep(0.2)
    seen: list[bool] = []
    for size in range(4, 9):
        fake_nvml.spike(0, size * GIB, 0.03)
        time.sleep(0.1)
        first, second = peaks(sampler), peaks(sampler)
        seen.append(first == second == dict.fromkeys((15, 60, 300), (1 + size) * GIB))
    assert sum(seen) >= 4, "a busy machine may miss one of five"


def test_a_job_wakes_an_idle_sampler_at_once(fake_nvml: FakeNvml, sampler: Sampler) -> None:
    before = fake_nvml.calls(MEMORY)
    sampler.job_running(True)
    wait(lambda: fake_nvml.calls(MEMORY) >= before + 5, 0.5)


@pytest.fixture
def idle(fake_nvml: FakeNvml) -> Iterator[Callable[[str], Sampler]]:
    """Starts a sampler over a state of the driver."""
    started: list[Sampler] = []

    def start(state: str) -> Sampler:
        fake_nvml.write(state)
        started.append(Sampler())
        started[0].start()
        wait(lambda: isinstance(started[0].snapshot(), Nvml), 5)
        return started[0]

    yield start
    started[0].stop()


@pytest.mark.parametrize("gpus", [1, 8, 64])
def test_the_driver_counts_at_most_six_calls_a_second_and_gpu(
    fake_nvml: FakeNvml, idle: Callable[[str], Sampler], gpus: int
) -> None:
    idle(f"gpus = {gpus}\ngpu.*.proc.1 = 1G\n")
    time.sleep(0.5)
    before = [fake_nvml.gpu_calls(gpu) for gpu in range(gpus)]
    time.sleep(3.0)
    rates = [(fake_nvml.gpu_calls(gpu) - calls) / 3.0 for gpu, calls in enumerate(before)]
    assert sum(rates) / gpus <= 6
    assert min(rates) >= 3


@pytest.mark.parametrize("function", [MEMORY, "nvmlDeviceGetTemperature"])
def test_a_hang_shows_within_two_seconds_and_ends_by_itself(
    fake_nvml: FakeNvml, sampler: Sampler, function: str
) -> None:
    fake_nvml.hang(function)
    wait(lambda: sampler.stuck, 2.0)
    gap = sampler.snapshot()
    fake_nvml.release()
    wait(lambda: isinstance(sampler.snapshot(), Nvml), 2.0)
    assert isinstance(gap, Gap)
    assert gap.kind == "hung"
    assert function.removesuffix("_v2") in gap.reason


def test_a_hung_sampler_is_left_behind(fake_nvml: FakeNvml, sampler: Sampler) -> None:
    fake_nvml.hang(MEMORY)
    wait(lambda: sampler.stuck, 2.0)
    began = time.monotonic()
    sampler.stop(timeout=0.2)
    assert time.monotonic() - began < 0.5


def test_a_sampler_stops_quickly(sampler: Sampler) -> None:
    began = time.monotonic()
    sampler.stop()
    assert time.monotonic() - began < 0.5
    assert not sampler._thread.is_alive()


def test_a_sampler_that_never_started_stops() -> None:
    Sampler().stop()


def test_the_driver_may_be_reloaded_into_a_mismatch_and_back(
    fake_nvml: FakeNvml, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgediag.sources.sampler.RETRY", 0.3)
    fake_nvml.write("error.* = LIB_RM_VERSION_MISMATCH\n")
    wait(lambda: isinstance(sampler.snapshot(), Gap), 3)
    gap = sampler.snapshot()
    fake_nvml.write("")
    wait(lambda: isinstance(sampler.snapshot(), Nvml), 8)
    assert isinstance(gap, Gap)
    assert gap.kind == "lost"
    assert "reboot" in gap.reason


def test_a_thread_that_died_is_no_silence(fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler()
    monkeypatch.setattr(sampler, "_run", lambda: None)
    sampler._thread._target = sampler._run  # type: ignore[attr-defined]  # the thread holds the method it was given
    sampler.start()
    wait(lambda: not sampler._thread.is_alive(), 1)
    gap = sampler.snapshot()
    assert isinstance(gap, Gap)
    assert gap.kind == "failed"


SHOW = """
import time
from forgediag.sources.sampler import Sampler
sampler = Sampler()
sampler.start()
end = time.monotonic() + 5
while getattr(sampler.snapshot(), "kind", "") == "starting" and time.monotonic() < end:
    time.sleep(0.01)
print(sampler.snapshot())
"""


def run(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_missing_library_is_a_gap() -> None:
    no_library = "import pynvml\ndef missing(name):\n    raise OSError(name)\npynvml.CDLL = missing\n"
    out = run(no_library + SHOW, {})
    assert "kind='missing'" in out
    assert out.count("\n") == 1


def test_the_library_is_found_through_the_library_path(make_fake_nvml: Callable[[str], FakeNvml]) -> None:
    fake = make_fake_nvml("gpus = 2\ndriver = 570.1\n")
    assert run(SHOW, fake.environment).startswith("Nvml(driver='570.1'")


def test_a_hung_call_does_not_keep_the_process(make_fake_nvml: Callable[[str], FakeNvml]) -> None:
    fake = make_fake_nvml("")
    fake.hang("nvmlDeviceGetUUID")
    began = time.monotonic()
    out = run(SHOW, fake.environment)
    assert time.monotonic() - began < 5
    assert "kind='hung'" in out


def test_memory_is_there_for_a_process_of_its_own(make_fake_nvml: Callable[[str], FakeNvml]) -> None:
    fake = make_fake_nvml("error.nvmlDeviceGetMemoryInfo_v2 = FUNCTION_NOT_FOUND\n")
    assert "reserved=None" in run(SHOW, fake.environment)
