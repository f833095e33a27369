"""A folder of 2,000 model files: header checks, an unchanged verify, memory. Run: python tests/bench/library.py"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forgediag.testing.files import write_safetensors
from forgediag.testing.headers import header

FILES = 2000
ROUNDS = 5
KINDS = ("sdxl:fp16", "sd15:fp16", "flux:fp8")


def build(folder: Path) -> None:
    """Headers of SD1.5 LoRAs (192 modules of a UNet) for most, those of whole checkpoints for every tenth."""
    parts = ("alpha", "lora_down.weight", "lora_up.weight")
    shapes = {f"lora_unet_down_blocks_{i}_attn1_to_q.{part}": ("F16", (16, 16)) for i in range(192) for part in parts}
    big = {kind: {name: (t.dtype, t.shape) for name, t in header(kind).tensors.items()} for kind in KINDS}
    for number in range(FILES):
        path = folder / f"{number:04}.safetensors"
        if number % 10:
            write_safetensors(path, shapes, {"number": str(number)})
        else:
            write_safetensors(path, big[KINDS[number // 10 % len(KINDS)]], {"number": str(number)})
            if number:  # a checkpoint's header, but no gigabytes to hash
                os.truncate(path, 8 * 1024 * 1024)


def timed(*arguments: str) -> tuple[float, float]:
    """Seconds and MiB of resident memory at most, from a process of its own."""
    code = (
        "import resource, sys; from forgediag.cli import main; sys.argv[0] = 'forgediag'\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    started = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return time.perf_counter() - started, int(ended.stderr.split()[-1]) / 1024


def main() -> None:
    """Print one line of JSON for each measurement."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        os.environ["FORGEDIAG_FORGE"] = "http://127.0.0.1:9"
        os.chdir(name)
        build(Path(name) / "models")
        os.truncate(Path(name) / "models/0000.safetensors", 8 * 1024 * 1024)
        time.sleep(61)  # what was written less than a minute before it is read is not trusted
        rows = {
            "lock, first": [timed("lock", "models")],
            "models, first": [],
            "models": [],
            "doctor PATH": [],
            "verify": [],
        }
        for _ in range(ROUNDS):
            os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(dir=name)
            rows["models, first"].append(timed("models", "models"))
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        for _ in range(ROUNDS):
            rows["models"].append(timed("models", "models"))
            rows["doctor PATH"].append(timed("doctor", "models"))
            rows["verify"].append(timed("verify"))
        for what, found in rows.items():
            seconds = [row[0] for row in found]
            print(
                json.dumps(
                    {
                        "what": what,
                        "files": FILES,
                        "seconds_median": round(statistics.median(seconds), 3),
                        "seconds_worst": round(max(seconds), 3),
                        "rss_mib": round(max(row[1] for row in found), 1),
                    }
                )
            )


if __name__ == "__main__":
    main()
