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
TORCH = """
import statistics, sys, time, torch
times = []
for _ in range({rounds}):
    start = time.perf_counter(); torch.load(sys.argv[1], map_location="cpu", weights_only=False)
    times.append(time.perf_counter() - start)
print(statistics.median(times))
"""


def main() -> None:
    names = (f"model.diffusion_model.input_blocks.{number}.0.in_layers.weight" for number in range(TENSORS))
    data = torch_zip({"state_dict": {name: Weight("F16", (1, 1, 1)) for name in names}})
    window, times = Held(data), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        assert read(window).safety.safe
        times.append(time.perf_counter() - start)
    ours = statistics.median(times)
    tracemalloc.start()
    read(window)
    print(
        f"list and judge {TENSORS} tensors: {ours * 1000:.1f} ms, {tracemalloc.get_traced_memory()[1] / 2**20:.1f} MiB"
    )
    tracemalloc.stop()
    large = Held(torch_zip({"a": Weight("F32", (4096, 8192))}))
    start = time.perf_counter()
    assert bad_records(large) == ()
    print(f"checksums: {large.size / (time.perf_counter() - start) / 1e9:.2f} GB/s")
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.ckpt")
            file.write_bytes(data)
            code = TORCH.format(rounds=ROUNDS)
            theirs = float(subprocess.run([sys.argv[1], "-c", code, file], capture_output=True, check=True).stdout)
        print(f"torch.load: {theirs * 1000:.1f} ms; forgediag takes {ours / theirs:.2f} of that")


if __name__ == "__main__":
    main()
