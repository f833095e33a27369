"""Measure the pickle reader: `python tests/bench/pickles.py [PYTHON_WITH_TORCH]`.

Prints the time to list and judge a checkpoint of 1,131 tensors of one element each, whole reading included, and with a
Python that has torch the time of torch.load for the same file: with so little data that is its time for the header.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from forgediag.formats.pickle import bad_records, read
from forgediag.formats.window import Held
from forgediag.testing.pickles import Weight, torch_zip

TENSORS, ROUNDS = 1131, 15
SAVE = """
import sys, torch
names = sys.argv[2:]
torch.save({"state_dict": {name: torch.zeros(1, 1, 1, dtype=torch.float16) for name in names}}, sys.argv[1])
"""
LOAD = """
import statistics, sys, time, torch
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    torch.load(sys.argv[1], map_location="cpu", weights_only=False)
    times.append(time.perf_counter() - start)
print(statistics.median(times))
"""
NAMES = [f"model.diffusion_model.input_blocks.{number}.0.in_layers.weight" for number in range(TENSORS)]


def median(window: Held) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        assert read(window).safety.safe
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def against_torch(python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.ckpt")
        subprocess.run([python, "-c", SAVE, file, *NAMES], check=True)
        ours = median(Held(file.read_bytes()))
        command = [python, "-c", LOAD, file, str(ROUNDS)]
        theirs = float(subprocess.run(command, capture_output=True, check=True).stdout)
    print(f"written by torch: {ours * 1000:.1f} ms; torch.load {theirs * 1000:.1f} ms, ratio {ours / theirs:.2f}")


def main() -> None:
    window = Held(torch_zip({"state_dict": {name: Weight("F16", (1, 1, 1)) for name in NAMES}}))
    ours = median(window)
    tracemalloc.start()
    read(window)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(f"list and judge {TENSORS} tensors: {ours * 1000:.1f} ms, {peak:.1f} MiB")
    large = Held(torch_zip({"a": Weight("F32", (4096, 8192))}))
    start = time.perf_counter()
    assert bad_records(large) == ()
    print(f"checksums: {large.size / (time.perf_counter() - start) / 1e9:.2f} GB/s")
    if len(sys.argv) > 1:
        against_torch(sys.argv[1])


if __name__ == "__main__":
    main()
