"""What many targets cost: `python tests/bench/targets.py [TARGETS [SECONDS [local]]]`.

Starts that many simulated Forges in one process and one daemon that watches them all with the default paces, scrapes
/metrics every 5 s and /probe of one target every second, and prints the daemon's CPU of a core, its memory, how old
the facts of a scrape are, and how long scrapes and probes take. Forges count as other machines' unless `local`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil

from forgediag.testing.forge import SimulatedForge

AGE = re.compile(r'^forgediag_poll_last_success_timestamp_seconds\{source="forge:[^"]*"\} (\S+)$', re.MULTILINE)
SETTLE = 20.0
PROGRAM = str(Path(sys.executable).with_name("forgediag"))
PROFILED = ["-m", "cProfile", "-o", os.environ["PROFILE"]] if os.environ.get("PROFILE") else []
ELSEWHERE = "127.1"
"""Reaches loopback, but is not one of its names: such a Forge counts as another machine's."""


async def serve(count: int) -> None:
    """Serve simulated Forges; prints their ports."""
    async with AsyncExitStack() as stack:
        forges = [await stack.enter_async_context(SimulatedForge()) for _ in range(count)]
        print(json.dumps([int(forge.url.rsplit(":", 1)[1]) for forge in forges]), flush=True)
        await asyncio.Event().wait()


def quantiles(values: Sequence[float]) -> str:
    """Median, 99th percentile and largest."""
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99)]
    return f"p50 {at[0]:.4f}  p99 {at[1]:.4f}  max {ordered[-1]:.4f} s"


def measure(url: str, daemon: psutil.Process, seconds: float) -> None:
    """Scrape for a while and print what it took."""
    ages, scrapes, probes, residents = [], [], [], []
    with httpx.Client(base_url=url, timeout=30, trust_env=False, headers={"accept-encoding": "gzip"}) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.1)
        time.sleep(SETTLE)
        times = daemon.cpu_times()
        cpu, started = times.user + times.system, time.monotonic()
        for second in range(int(seconds)):
            time.sleep(max(0.0, started + second - time.monotonic()))
            before = time.perf_counter()
            probed = client.get("/probe", params={"target": f"forge{second % 7}"})
            probes.append(time.perf_counter() - before)
            assert "\nforge_up" in probed.text
            residents.append(daemon.memory_info().rss)
            if second % 5 == 0:
                before = time.perf_counter()
                answer = client.get("/metrics")
                scrapes.append(time.perf_counter() - before)
                ages += [time.time() - float(stamp) for stamp in AGE.findall(answer.text)]
        wall = time.monotonic() - started
    times = daemon.cpu_times()
    print(f"CPU        {100 * (times.user + times.system - cpu) / wall:.1f} % of a core")
    print(f"memory     {max(residents) / 2**20:.1f} MiB resident at most, {residents[-1] / 2**20:.1f} at the end")
    print(f"data age   {quantiles(ages)} ({len(ages)} readings)")
    print(f"/metrics   {quantiles(scrapes)}  {len(answer.content)} bytes, {answer.text.count(chr(10))} lines")
    print(f"/probe     {quantiles(probes)}  {len(probed.content)} bytes")


def main() -> None:
    """Start everything, measure, end everything."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    host = "127.0.0.1" if "local" in sys.argv else ELSEWHERE
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, __file__, "serve", str(count)], stdout=subprocess.PIPE, text=True) as forges,
    ):
        assert forges.stdout is not None
        ports = json.loads(forges.stdout.readline())
        tables = [f'[[forge]]\nname = "forge{i}"\nurl = "http://{host}:{port}"\n' for i, port in enumerate(ports)]
        config = Path(folder) / "config.toml"
        config.write_text(f'state_dir = "{folder}/state"\nhash_models = false\n' + "".join(tables), "utf-8")
        program = [sys.executable, *PROFILED, PROGRAM, "--config", str(config), "run", "--listen", "127.0.0.1:0"]
        with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as daemon:
            assert daemon.stderr is not None
            url = ""
            while not url:
                found = re.search(r"metrics at (\S+)/metrics", daemon.stderr.readline())
                url = found[1] if found else ""
            try:
                print(f"{count} targets, {'local' if host != ELSEWHERE else 'on other machines'}, {seconds:g} s")
                measure(url, psutil.Process(daemon.pid), seconds)
            finally:
                daemon.send_signal(2)
                forges.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2])))
    else:
        main()
