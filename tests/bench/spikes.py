"""Two real Prometheus servers and short spikes: how many of them does each see, in a job and at idle?

    python tests/bench/spikes.py [TRIES]

Each try adds 4 GiB to the fake card for 30 ms. A server has seen it when the peak window it scraped (every second)
shows it. Also counts the scrapes that failed. Needs Debian's prometheus and gcc.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fake_nvml"))

from build import build
from control import FakeNvml
from nvitop import free_port, running

from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.prometheus import Prometheus
from forgediag.testing.prometheus import running as prometheus

GIB = 1024**3
CARD = "gpus = 1\ngpu.0.total = 12G\ngpu.0.used = 4G\n"
SEEN = 'max(max_over_time(forge_gpu_memory_used_max_bytes{window="2s"}[3s])) >= bool 8 * 1024 ^ 3'


def seen(server: Prometheus) -> int:
    """1 when the server has scraped a peak of 8 GiB within the last three seconds."""
    found = server.query(SEEN)
    return int(float(found[0]["value"][1])) if found else 0


def count(fake: FakeNvml, servers: list[Prometheus], tries: int) -> list[int]:
    """How many of the spikes each server saw, and last how many both did."""
    caught = [0, 0, 0]
    for number in range(tries):
        fake.spike(0, 4 * GIB, 0.03, delay=0.1 + number * 0.617 % 1)  # at any moment of the servers' second
        time.sleep(3.4)
        both = [seen(server) for server in servers]
        caught = [caught[0] + both[0], caught[1] + both[1], caught[2] + both[0] * both[1]]
        time.sleep(2.6)
    return caught


def main() -> None:
    """Run both parts and print what was seen."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name, ForgeThread(Setup(pace=Pace(step=0.5))) as forge:
        folder = Path(name)
        fake = FakeNvml(build(folder), folder, CARD)
        port = free_port()
        environment = {**os.environ, **fake.environment, "FORGEDIAG_SAMPLING_WINDOWS": "2,15", "XDG_CACHE_HOME": name}
        program = str(Path(sys.executable).with_name("forgediag"))
        command = [program, "--forge", forge.url, "run", "--listen", f"127.0.0.1:{port}"]
        (folder / "a").mkdir()
        (folder / "b").mkdir()
        with (
            running(command, environment, port),
            prometheus(folder / "a", [f"127.0.0.1:{port}"]) as first,
            prometheus(folder / "b", [f"127.0.0.1:{port}"]) as second,
        ):
            time.sleep(5)
            forge.call(lambda simulated: simulated.start_job(steps=100_000, width=1024, height=1024))
            time.sleep(5)
            print(f"in a job: {tries} tries; seen by one, the other, both: {count(fake, [first, second], tries)}")
            forge.call(lambda simulated: simulated.engine.interrupt())
            time.sleep(8)
            print(f"at idle: {tries // 2} tries; {count(fake, [first, second], tries // 2)}")
            for server in (first, second):
                scrapes = server.query("sum(count_over_time(up[1h]))")[0]["value"][1]
                failed = server.query("sum(count_over_time((up == 0)[1h:1s])) or vector(0)")[0]["value"][1]
                print(f"scrapes {scrapes}, failed {failed}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"gcc refused: {error}")
