"""forgediag beside nvitop-exporter 1.7.2 on the same fake NVML, in one run: scrapes, idle CPU, RSS, NVML calls.

    python tests/bench/nvitop.py [--gpus 1,8,64] [--seconds 60] [--scrapes 300]

Makes a virtual environment for the peer in a temporary folder. Absolute times belong to the machine; the ratios count.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fake_nvml"))

from build import build  # noqa: E402
from control import FakeNvml  # noqa: E402

PEER = "nvitop-exporter==1.7.2"
REQUEST = (
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Prometheus/2.42.0\r\nAccept-Encoding: gzip\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\r\n"
)
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass
class Result:
    """One exporter's figures. Milliseconds, per cent of a core, MiB, calls per second and GPU."""

    p50: float
    p99: float
    cpu: float
    rss: float
    calls: float
    series: int


def free_port() -> int:
    """A port nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int) -> Iterator[int]:
    """A started exporter that answers /metrics: its pid."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                Scraper(port).scrape()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise TimeoutError(f"{command[0]} did not answer within 30 s")
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


class Scraper:
    """Asks as Prometheus does: gzip, the connection kept where the server keeps it. As little else as can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def scrape(self) -> float:
        """Seconds one scrape took."""
        started = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(REQUEST)
        data = b""
        missing = 1
        while missing > 0 and (part := self._socket.recv(1 << 20)):
            data += part
            head, _, body = data.partition(b"\r\n\r\n")
            length = LENGTH.search(head)
            missing = int(length[1]) - len(body) if length else 1
        seconds = time.perf_counter() - started
        if not data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise OSError(data[:100].decode("latin-1") or "no answer")
        if missing or data.startswith(b"HTTP/1.0"):
            self._socket.close()
            self._socket = None
        return seconds


def cpu_seconds(pid: int) -> float:
    """Time a process has run so far, all threads, in nanosecond resolution: /proc's own ticks are 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text("utf-8").split()[0]) for path in threads) / 1e9


def rss(pid: int) -> float:
    """Resident MiB of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def count_series(port: int) -> int:
    """Lines with a value in the uncompressed text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
    text = connection.getresponse().read().decode()
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))


def measure(pid: int, port: int, fake: FakeNvml, gpus: int, seconds: float, scrapes: int, pause: float) -> Result:
    """Idle first (no scrape), then scrapes `pause` seconds apart."""
    time.sleep(3)
    calls, cpu, started = fake.calls(), cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - started
    cpu, calls = cpu_seconds(pid) - cpu, fake.calls() - calls
    scraper = Scraper(port)
    times: list[float] = []
    for _ in range(scrapes):
        times.append(scraper.scrape() * 1000)
        time.sleep(pause)
    quantiles = statistics.quantiles(times, n=100)
    return Result(
        statistics.median(times), quantiles[98], 100 * cpu / passed, rss(pid), calls / passed / gpus, count_series(port)
    )


def state(gpus: int) -> str:
    """Idle cards with two processes each."""
    lines = [f"gpus = {gpus}", "driver = 580.159.04", "cuda = 13000", "gpu.*.name = NVIDIA GeForce RTX 4070"]
    for gpu in range(gpus):
        lines += [f"gpu.{gpu}.proc.{os.getpid()} = 300M", f"gpu.{gpu}.proc.1 = 100M"]
    return "\n".join(lines) + "\n"


@contextmanager
def simulated_forge() -> Iterator[str]:
    """An idle simulated Forge in a process of its own: its URL."""
    code = (
        "import asyncio\n"
        "from forgediag.testing.forge import SimulatedForge\n"
        "async def main():\n"
        "    async with SimulatedForge() as forge:\n"
        "        print(forge.url, flush=True)\n"
        "        await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def ours(python: Path, folder: Path, port: int, url: str | None) -> list[str]:
    """The command that runs forgediag with one Forge or none."""
    config = folder / "forgediag.toml"
    config.write_text(f'[[forge]]\nname = "bench"\nurl = "{url}"\n' if url else "forge = []\n", "utf-8")
    return [
        str(python.with_name("forgediag")),
        "--config",
        str(config),
        "run",
        "--listen",
        f"127.0.0.1:{port}",
    ]


def floor(python: str, modules: str) -> float:
    """Resident MiB of a process that has only imported."""
    page = os.sysconf("SC_PAGE_SIZE")
    code = f"import {modules}\nprint(int(open('/proc/self/statm').read().split()[1]) * {page} / 2**20)"
    return float(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Run and print the table, one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", default="1,8,64")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--scrapes", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two scrapes")
    parser.add_argument("--peer-venv", type=Path, help="a virtual environment that has the peer already")
    parser.add_argument("--own-venv", type=Path, help="a virtual environment that has forgediag already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = arguments.peer_venv or folder / "peer"
        if not peer.exists():
            venv.create(peer, with_pip=True)
            subprocess.run([peer / "bin" / "pip", "install", "-q", PEER], check=True)
        own = arguments.own_venv or folder / "own"
        if not own.exists():  # a clean one: where rich is installed httpx imports it, and RSS is not the user's
            venv.create(own, with_pip=True)
            subprocess.run([own / "bin" / "pip", "install", "-q", ROOT], check=True)
        library = build(folder)
        imports = "asyncio, httpx, psutil, pynvml, click, h11, prometheus_client"
        print(json.dumps({"floor_rss_mib": round(floor(str(own / "bin" / "python"), imports), 1), "imports": imports}))
        with simulated_forge() as forge:
            for gpus in map(int, arguments.gpus.split(",")):
                results: dict[str, Result] = {}
                for who in ("nvitop", "forgediag", "forgediag+forge"):
                    place = folder / f"{who}{gpus}"
                    place.mkdir()
                    fake = FakeNvml(library, place, state(gpus))
                    port = free_port()
                    environment = {**os.environ, **fake.environment, "XDG_CACHE_HOME": str(place)}
                    command = ours(own / "bin" / "python", place, port, forge if "+" in who else None)
                    if who == "nvitop":
                        command = [
                            str(peer / "bin" / "nvitop-exporter"),
                            "--bind-address",
                            "127.0.0.1",
                            "--port",
                            str(port),
                        ]
                    with running(command, environment, port) as pid:
                        result = measure(pid, port, fake, gpus, arguments.seconds, arguments.scrapes, arguments.pause)
                    results[who] = result
                    print(json.dumps({"gpus": gpus, "who": who, **{k: round(v, 3) for k, v in vars(result).items()}}))
                base = results.pop("nvitop")
                for who, result in results.items():
                    ratios = {
                        "scrape_p50_faster": base.p50 / result.p50,
                        "scrape_p99_faster": base.p99 / result.p99,
                        "idle_cpu": result.cpu / base.cpu,
                        "rss": result.rss / base.rss,
                    }
                    print(json.dumps({"gpus": gpus, "ratio": who, **{k: round(v, 3) for k, v in ratios.items()}}))


if __name__ == "__main__":
    main()
