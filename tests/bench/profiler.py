"""What profiling costs while a generation runs: 50 Hz sampling, a console followed, history kept, a Forge polled.

    python tests/bench/profiler.py [SECONDS] [--own-venv DIR]

A fake card whose memory moves at every step, a simulated Forge whose steps take half a second, a console that prints
them. Limits: 1.5 % of one core and 40 MiB of resident memory. Needs gcc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fake_nvml"))

from build import build
from control import FakeNvml
from nvitop import ROOT, cpu_seconds, free_port, rss, running

from forgediag.history import History
from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.jobs import job

MIB = 1024 * 1024
CARD = "gpus = 1\ngpu.0.total = 12G\ngpu.0.used = 6G\n"


def write_console(path: Path, fake: FakeNvml, stop: threading.Event) -> None:
    """Print what Forge prints, and let the card's memory breathe with it."""
    step = 0
    with path.open("a", encoding="utf-8") as log:
        while not stop.wait(0.5):
            step += 1
            log.write(f"\r {step % 20}/20 [00:01<00:01,  2.00it/s]")
            if step % 20 == 0:
                log.write("\n[Unload] Trying to free 4356.00 MB for cuda:0 with 1 models keep loaded ... Done.\n")
            log.flush()
            fake.spike(0, 300 * MIB, 0.2, delay=0.01)


def main() -> None:
    """Measure and print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--own-venv", type=Path, help="a virtual environment that has forgediag already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ForgeThread(Setup(pace=Pace(step=0.5))) as forge:
        folder = Path(name)
        own = arguments.own_venv or folder / "own"
        if not own.exists():
            venv.create(own, with_pip=True)
            subprocess.run([own / "bin" / "pip", "install", "-q", ROOT], check=True)
        fake, port, console = FakeNvml(build(folder), folder, CARD), free_port(), folder / "forge.log"
        console.touch()
        environment = {**os.environ, **fake.environment, "XDG_CACHE_HOME": name, "FORGEDIAG_SAMPLING_BUSY_HZ": "50"}
        command = [str(own / "bin" / "forgediag"), "--forge", forge.url, "--log", str(console), "run"]
        stop = threading.Event()
        writer = threading.Thread(target=write_console, args=(console, fake, stop))
        with running([*command, "--listen", f"127.0.0.1:{port}"], environment, port) as pid:
            forge.call(lambda running: running.start_job(steps=100_000, width=1024, height=1024))
            writer.start()
            time.sleep(5)
            cpu, started = cpu_seconds(pid), time.monotonic()
            time.sleep(arguments.seconds)
            share = 100 * (cpu_seconds(pid) - cpu) / (time.monotonic() - started)
            print(json.dumps({"busy_cpu_percent": round(share, 3), "rss_mib": round(rss(pid), 1)}))
            stop.set()
            writer.join()
    with tempfile.TemporaryDirectory() as name:
        history = History(Path(name), create=True)
        history.write([job(float(number)) for number in range(10_000)])
        started = time.perf_counter()
        history.jobs("forge", 50)
        history.option_changes("forge", 50)
        history.curve("gpu:GPU-1", 0, 1e12)
        took = (time.perf_counter() - started) * 1000
        print(json.dumps({"history_10000_jobs_mib": round(history.size() / MIB, 2), "page_query_ms": round(took, 2)}))


if __name__ == "__main__":
    main()
