"""Measure the sampler on the fake driver: `python tests/bench/sampler.py [SECONDS [TRIES]]`, needs gcc.

Prints CPU of a core and NVML calls per second and GPU, at idle and while a job runs, how many of TRIES spikes of
30 ms and 4 GiB are seen, and what a pynvml call costs here.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "fake_nvml"))
build = importlib.import_module("build").build
control = importlib.import_module("control")

GIB = 1024**3
RUN = """
import json, sys, time
from forgediag.sources.sampler import Sampler
sampler = Sampler(busy_hz=float(sys.argv[3]))
sampler.start()
sampler.job_running(sys.argv[1] == "job")
time.sleep(1.5)
cpu, wall, samples = time.process_time(), time.monotonic(), sampler.samples
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
cpu, wall = time.process_time() - cpu, time.monotonic() - wall
gpus = sampler.snapshot().gpus
print(json.dumps({"cpu %": 100 * cpu / wall, "samples/s": (sampler.samples - samples) / wall / len(gpus),
    "lag ms": 1000 * sampler.lag}))
"""
SPIKE = """
import sys
from forgediag.sources.sampler import Sampler
sampler = Sampler(windows=(1,))
sampler.start()
sampler.job_running(sys.argv[1] == "job")
for line in sys.stdin:
    print(sampler.snapshot().gpus[0].peaks.get(1, 0), flush=True)
"""
CALL = """
import time, pynvml
pynvml.nvmlInit()
handle = pynvml.nvmlDeviceGetHandleByIndex(0)
began = time.perf_counter()
for _ in range(100_000):
    pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
print((time.perf_counter() - began) * 10)
"""


def cost(library: Path, state: str, mode: str, seconds: float, hz: float = 100.0) -> dict[str, float]:
    """One run of a sampler in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        fake = control.FakeNvml(library, Path(folder), state)
        command = [sys.executable, "-c", RUN, mode, str(seconds), str(hz)]
        with subprocess.Popen(command, env=os.environ | fake.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            calls, began = fake.calls(), time.monotonic()
            result: dict[str, float] = json.loads(process.stdout.readline())
            rate = (fake.calls() - calls) / (time.monotonic() - began)
        gpus = int(state.split()[2])
        return {key: round(value, 3) for key, value in (result | {"NVML calls/s/GPU": rate / gpus}).items()}


def seen(library: Path, mode: str, tries: int) -> int:
    """How many spikes were in a window of one second, asked for 20 ms after each; no two share a window."""
    with tempfile.TemporaryDirectory() as folder:
        fake = control.FakeNvml(library, Path(folder), "gpu.0.total = 4T\ngpu.0.used = 1G\n")
        command = [sys.executable, "-c", SPIKE, mode]
        environment = os.environ | fake.environment
        with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True, bufsize=1) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            found, pause = 0, 1.2 if mode == "job" else 3.5  # at idle: a spike seen makes it fast for 2 s
            time.sleep(1.0)
            for _ in range(tries):
                time.sleep(pause + random.random())
                fake.spike(0, 4 * GIB, 0.03)
                time.sleep(0.05)
                process.stdin.write("\n")
                found += int(process.stdout.readline()) >= 5 * GIB
            process.stdin.close()
            process.wait()
        return found


def main() -> None:
    """Measure everything and print a line for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    tries = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        for gpus in (1, 8, 64):
            state = f"gpus = {gpus}\ngpu.*.proc.1 = 1G\ngpu.*.proc.2 = 1G\n"
            print(f"idle, {gpus} GPUs:", cost(library, state, "idle", seconds), flush=True)
            h100 = cost(library, state + control.H100, "idle", seconds)
            print(f"idle, {gpus} GPUs, calls as slow as on an H100:", h100, flush=True)
            for hz in (50.0, 100.0):
                print(f"job at {hz:g} Hz, {gpus} GPUs:", cost(library, state, "job", seconds, hz), flush=True)
        fake = control.FakeNvml(library, Path(folder))
        call = subprocess.check_output([sys.executable, "-c", CALL], env=os.environ | fake.environment)
        print(f"one pynvml call: {float(call):.2f} us")
        for mode in ("job", "idle"):
            print(f"spikes of 30 ms seen, {mode}: {seen(library, mode, tries)} of {tries}", flush=True)


if __name__ == "__main__":
    main()
