"""`lock` and `verify` killed at any moment go on where they were, and say nothing wrong."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forgediag.lockfile import parse
from forgediag.sources.records import JOURNAL, Records
from forgediag.testing.files import safetensors_header

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
MB = 1024 * 1024
FILES, EACH, KILLS = 24, 8 * MB, 20


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose times are long ago, so that what is read of them is trusted later."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "models").mkdir()
    head, _ = safetensors_header({"x": ("U8", (EACH,))})
    for number in range(FILES):
        path = folder / f"models/{number:02}.safetensors"
        path.write_bytes(head + random.Random(number).randbytes(EACH))
    return folder


def start(library: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(library / "cache"), "FORGEDIAG_FORGE": "http://127.0.0.1:9"}
    code = "from forgediag.sources import records; records.Record.settled = lambda *_: True;"
    code += "from forgediag.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=library, env=environment, stderr=subprocess.DEVNULL
    )


def killed_until_done(library: Path, *arguments: str) -> int:
    """Start again and again, killing at random moments, until it ends by itself; how often it was killed."""
    moments = random.Random(7)
    journal = library / "cache/forgediag" / JOURNAL
    for kills in range(400):
        process = start(library, *arguments)
        before = journal.stat().st_size if journal.exists() else 0
        until = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < until:
            if journal.exists() and journal.stat().st_size > before:  # it has begun to read
                break
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.03))
        if process.poll() is not None:
            assert process.returncode == 0
            return kills
        process.send_signal(signal.SIGKILL)
        process.wait()
        records = Records(journal)
        for path in (library / "models").iterdir():
            if (record := records.last(str(path))) is not None:
                assert record.sha256 == HASHES.setdefault(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        lock = library / "forgediag.lock"
        if lock.exists():
            parse(lock.read_text())  # whole, or not there
    raise AssertionError("it never came to its end")


HASHES: dict[str, str] = {}


@pytest.mark.slow
def test_a_lock_and_a_verify_killed_twenty_times_lose_nothing(library: Path) -> None:
    locks = killed_until_done(library, "lock", "models", "--rate", "40MB")
    lock = parse((library / "forgediag.lock").read_text())
    assert {Path(path).name: file.sha256 for path, file in lock.files.items()} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (library / "models").iterdir()
    }
    (library / "cache/forgediag" / JOURNAL).unlink()
    verifies = killed_until_done(library, "verify", "--rate", "40MB")
    print(f"killed {locks} times in lock, {verifies} times in verify")
    assert min(locks, verifies) >= KILLS
