"""A process that writes the history is killed at random moments: is the file sound, and what is lost?

    python tests/bench/kills.py [TRIES]

Each try starts a writer as the daemon has it, hands it a job every 10 ms, tells each on standard output, and is killed
within 2.5 s. Lost are the jobs that were told and are not in the file.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forgediag.history import History

PROGRAM = """
import sys, time
from pathlib import Path
from forgediag.history import HistoryWriter
from forgediag.testing.jobs import job
number = int(sys.argv[2])
writer = HistoryWriter(Path(sys.argv[1]))
writer.start()
while True:
    writer.add(job(time.time() + number * 1e-7))
    print(time.time(), flush=True)
    number += 1
    time.sleep(0.01)
"""


def main() -> None:
    """Run and print one JSON line."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(1)
    worst = kept = told = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(tries):
            command = [sys.executable, "-c", PROGRAM, name, str(number)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(chance.uniform(0.0, 2.5))
                child.kill()
                moments = [float(line) for line in child.stdout.read().split()]
            told += len(moments)
            try:
                newest = History(folder, create=True).jobs(limit=1)
            except sqlite3.Error as error:
                raise SystemExit(f"the file is damaged after try {number}: {error}") from error
            if moments and newest:
                worst = max(worst, moments[-1] - max(newest[0].started, moments[0] - 0.02))
        connection = sqlite3.connect(folder / "history.sqlite3")
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
        kept = connection.execute("SELECT count(*) FROM job").fetchone()[0]
    print(
        json.dumps({"kills": tries, "sound": sound, "told": told, "kept": kept, "most_lost_seconds": round(worst, 2)})
    )


if __name__ == "__main__":
    main()
