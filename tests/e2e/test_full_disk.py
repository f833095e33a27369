"""A disk that is really full: nothing is half written, one line says so, and afterwards all goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgediag.lockfile import parse
from forgediag.testing.files import write_safetensors

MB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        sys.platform == "linux"
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a disk that is full needs a file system of its own: root, and mount, on Linux")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for number in range(40):
        path = write_safetensors(tmp_path / f"models/{number:02}.safetensors", {f"x{number}": ("F16", (64, 64))})
        os.utime(path, (1, 1))
    return tmp_path / "models"


def forgediag(*arguments: object, state: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(state), "FORGEDIAG_FORGE": "http://127.0.0.1:9"}
    code = "from forgediag.sources import records; records._settled = lambda *_: True;"
    code += "from forgediag.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def fill(place: Path) -> Path:
    """Take what is left of it."""
    path = place / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return path
    raise AssertionError("it never became full")


def test_a_lock_that_does_not_fit_leaves_the_old_one(small: Path, library: Path, tmp_path: Path) -> None:
    lock = small / "forgediag.lock"
    assert forgediag("lock", library, "-o", lock, state=tmp_path / "state").returncode == 0
    before = lock.read_bytes()
    for number in range(100, 140):
        write_safetensors(library / f"{number}.safetensors", {f"y{number}": ("F16", (64, 64))})
    filler = fill(small)
    ended = forgediag("lock", library, "-o", lock, state=tmp_path / "state")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "cannot be written: No space left on device; it is as it was" in ended.stderr
    assert lock.read_bytes() == before
    assert sorted(path.name for path in small.iterdir()) == ["filler", "forgediag.lock"]
    filler.unlink()
    again = forgediag("lock", library, "-o", lock, state=tmp_path / "state")
    assert (again.returncode, "0 read, 80 known" in again.stdout) == (0, True)
    assert len(parse(lock.read_text()).files) == 80


def test_what_cannot_be_remembered_is_said_once_and_nothing_of_it_is_half_written(
    small: Path, library: Path, tmp_path: Path
) -> None:
    lock, journal = tmp_path / "forgediag.lock", small / "forgediag/files.jsonl"
    journal.parent.mkdir()
    journal.write_bytes(b"")
    filler = fill(small)
    os.truncate(filler, filler.stat().st_size - 8192)
    locked = forgediag("lock", library, "-o", lock, state=small)
    assert locked.returncode == 0
    assert locked.stderr.startswith(f"what was read is not remembered: {journal} cannot be written: ")
    assert len(locked.stderr.splitlines()) == 1
    assert journal.read_bytes().endswith(b"}\n")
    verified = forgediag("verify", "--lock", lock, state=small)
    assert verified.returncode == 0
    assert len(verified.stderr.splitlines()) == 1
    filler.unlink()
    healed = forgediag("verify", "--lock", lock, state=small)
    assert (healed.returncode, healed.stderr) == (0, "")
    assert "0 read now, 40 trusted" in forgediag("verify", "--lock", lock, state=small).stdout
