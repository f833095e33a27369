"""The deep probe beside Forge's own class: time and memory of a whole process that decodes one 8x8 latent.

    python tests/bench/autoencoder.py VAE.safetensors [--torch PYTHON --forge DIR] [--rounds N]

PYTHON is the interpreter of a virtual environment with Forge's torch, DIR Forge's folder. Without them only the own
numbers are measured. Rounds are interleaved; medians are told. With both, the outputs are compared too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forgediag.model import Gap
from forgediag.probing.passes import _given
from forgediag.sources.headers import read_header
from forgediag.sources.probe import Try, _asked, _tensors

THREADS = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

THEIRS = """
import json, os, resource, sys
forge, path, channels, latent, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
sys.path[:0] = [forge, *(f"{forge}/{part}" for part in ("packages_3rdparty", "repositories/huggingface_guess"))]
os.chdir(forge)
sys.argv = ["bench", "--always-cpu"]
import numpy, torch, safetensors.torch
torch.set_num_threads(1)
import backend.loader
from backend.nn.vae import IntegratedAutoencoderKL
quant = channels == 4
with torch.no_grad():
    vae = IntegratedAutoencoderKL(block_out_channels=[128, 256, 512, 512], layers_per_block=2, latent_channels=channels,
                                  use_quant_conv=quant, use_post_quant_conv=quant)
    vae.load_state_dict(safetensors.torch.load_file(path), strict=False)
    z = torch.from_numpy(numpy.load(latent))[None]
    numpy.save(out, vae.float().eval().decode(z)[0].numpy())
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
"""


def ours(path: str, channels: int, places: dict[str, Any], keep: str) -> tuple[float, float]:
    """Seconds and bytes of the child process, asked as `probe --deep` asks it, for one latent."""
    asked = {"path": path, "channels": channels, "tensors": places, "memory": 2 << 30, "seconds": 60, "keep": keep}
    request = json.dumps({**asked, "passes": [_asked(Try("decode", 8), channels)]})
    started = time.perf_counter()
    command = [sys.executable, "-m", "forgediag.probing"]
    done = subprocess.run(command, input=request, capture_output=True, text=True, check=True, env=THREADS)
    return time.perf_counter() - started, float(json.loads(done.stdout)["peak"])


def theirs(python: str, arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and bytes of a process that loads Forge's class and decodes the same latent."""
    started = time.perf_counter()
    done = subprocess.run([python, "-c", THEIRS, *arguments], capture_output=True, text=True, check=True, env=THREADS)
    return time.perf_counter() - started, float(done.stdout.splitlines()[-1])


def latent(channels: int, path: str) -> str:
    """The latent that `Try("decode", 8)` stands for, as a file."""
    np.save(path, _given(_asked(Try("decode", 8), channels), channels))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vae")
    parser.add_argument("--torch")
    parser.add_argument("--forge")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    path = str(Path(given.vae).absolute())
    header = read_header(path)
    found = Gap("broken", "invalid") if not hasattr(header, "tensors") else _tensors(path, header)
    if isinstance(found, Gap):
        sys.exit(found.reason)
    channels, places = found
    mine: list[tuple[float, float]] = []
    other: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        z = latent(channels, f"{folder}/z.npy")
        for _ in range(given.rounds):
            mine.append(ours(path, channels, places, f"{folder}/ours.npy"))
            if given.torch and given.forge:
                arguments = (given.forge, path, str(channels), z, f"{folder}/theirs.npy")
                other.append(theirs(given.torch, arguments))
        report(mine, other, folder)


def report(mine: list[tuple[float, float]], other: list[tuple[float, float]], folder: str) -> None:
    (seconds, held), rows = (statistics.median(column) for column in zip(*mine, strict=True)), {"forgediag": mine}
    if other:
        rows["Forge's class"] = other
    for name, runs in rows.items():
        s, b = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:<14} {s:6.2f} s  {b / 2**20:7.1f} MiB  (times {[round(one[0], 2) for one in runs]})")
    if other:
        s, b = (statistics.median(column) for column in zip(*other, strict=True))
        apart = np.abs(np.load(f"{folder}/ours.npy") - np.load(f"{folder}/theirs.npy")).max()
        print(f"ratio          {s / seconds:6.1f} x  {b / held:7.1f} x    largest difference {apart:.1e}")


if __name__ == "__main__":
    main()
