"""The background verification reads every file in its turn and never claims what it does not know."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from forgediag.forge.folders import Folder
from forgediag.lockfile import Lock, Locked, render
from forgediag.model import Gap, Verification
from forgediag.sources import whole as source
from forgediag.sources.hashing import Hasher
from forgediag.sources.identity import Stopped
from forgediag.sources.inventory import walk
from forgediag.sources.records import Records
from forgediag.sources.sweep import RETRY, Sweep

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


def go(done: int) -> bool:
    return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sweep(clock: Clock) -> Sweep:
    return Sweep(Records(None), None, DAY, 1e12, clock)


def look(sweep: Sweep, folder: Path) -> Verification:
    sweep.see(walk([Folder("other", str(folder))]).entries)
    found = sweep.verification()
    assert isinstance(found, Verification)
    return found


def put(path: Path, content: bytes = b"abc", seconds: int = 5) -> None:
    """Write a file in place, with a time of writing."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(content)
    os.utime(path, (seconds, seconds))


def test_nothing_is_known_before_the_first_look(sweep: Sweep) -> None:
    assert isinstance(sweep.verification(), Gap)
    assert sweep.due() == float("inf")
    sweep.work(go)


def test_each_file_is_read_once_a_round(sweep: Sweep, clock: Clock, tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    put(tmp_path / "b.gguf", b"longer")
    before = look(sweep, tmp_path)
    assert (before.counts, before.oldest, before.fresh, before.total) == ({"pending": 2}, None, 0, 9)
    assert sweep.due() == 0
    sweep.work(go)
    sweep.work(go)
    after = look(sweep, tmp_path)
    assert (after.counts, after.oldest, after.fresh, after.against) == ({"ok": 2}, 1e6, 9, "first read")
    assert sweep.due() == DAY
    clock.now += DAY
    assert sweep.due() == 0


def test_contents_that_changed_without_a_trace_in_size_and_time_are_found(
    sweep: Sweep, clock: Clock, tmp_path: Path
) -> None:
    put(tmp_path / "a.gguf")
    look(sweep, tmp_path)
    sweep.work(go)
    put(tmp_path / "a.gguf", b"abd")
    look(sweep, tmp_path)
    sweep.work(go)
    (item,) = look(sweep, tmp_path).troubled
    assert item.verdict == "corrupted"
    assert "set its time back" in item.reason
    clock.now += DAY
    sweep.work(go)
    assert look(sweep, tmp_path).troubled[0].verdict == "corrupted"


def test_an_honest_write_is_a_new_first_read(sweep: Sweep, tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    look(sweep, tmp_path)
    sweep.work(go)
    put(tmp_path / "a.gguf", b"abd", seconds=6)
    assert look(sweep, tmp_path).counts == {"pending": 1}
    sweep.work(go)
    assert look(sweep, tmp_path).counts == {"ok": 1}


def test_a_file_that_cannot_be_read_is_tried_again_later(
    sweep: Sweep, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.gguf")
    look(sweep, tmp_path)

    def fail(name: str, **options: object) -> object:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(source, "identify", fail)
        sweep.work(go)
    (item,) = look(sweep, tmp_path).troubled
    assert (item.verdict, item.at) == ("unreadable", 1e6)
    assert sweep.due() == RETRY
    clock.now += RETRY
    sweep.work(go)
    assert look(sweep, tmp_path).counts == {"ok": 1}


def test_a_file_that_changes_while_it_is_read_is_not_judged(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.gguf")
    look(sweep, tmp_path)
    real = source.identify

    def identify(name: str, **options: object) -> object:
        found = real(name, **options)  # type: ignore[arg-type]  # handed on as they come
        put(tmp_path / "a.gguf", b"abd", 6)
        return found

    monkeypatch.setattr(source, "identify", identify)
    sweep.work(go)
    (item,) = look(sweep, tmp_path).troubled
    assert (item.verdict, item.reason) == ("unreadable", "changed while it was read")


def test_it_stops_when_told_and_keeps_to_its_rate(clock: Clock, tmp_path: Path) -> None:
    with (tmp_path / "a.gguf").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    slow = Sweep(Records(None), None, DAY, 1024 * 1024, clock)
    look(slow, tmp_path)
    answers = [True, True, False]
    with pytest.raises(Stopped):
        slow.work(lambda done: answers.pop(0))
    assert answers == []


def locked(tmp_path: Path, **files: str) -> str:
    rows = {f"{name}.gguf": Locked(f"{name}.gguf", 3, sha256, "gguf", "flux") for name, sha256 in files.items()}
    path = tmp_path / "forgediag.lock"
    path.write_text(render(Lock((".",), rows)))
    return str(path)


def test_with_a_lock_files_are_compared_with_it(clock: Clock, tmp_path: Path) -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    sweep = Sweep(Records(None), locked(tmp_path, a=abc, b="0" * 64, gone="1" * 64), DAY, 1e12, clock)
    put(tmp_path / "a.gguf")
    put(tmp_path / "b.gguf")
    put(tmp_path / "c.gguf")
    look(sweep, tmp_path)
    for _ in range(3):
        sweep.work(go)
    found = look(sweep, tmp_path)
    assert found.against == "lock"
    assert found.counts == {"ok": 2, "changed": 1, "missing": 1}
    assert {Path(item.path).name: item.verdict for item in found.troubled} == {
        "b.gguf": "changed",
        "gone.gguf": "missing",
    }


def test_a_lock_that_cannot_be_used_is_a_gap(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "forgediag.lock"
    sweep = Sweep(Records(None), str(path), DAY, 1e12, clock)
    sweep.see([])
    missing = sweep.verification()
    path.write_text("<<<<")
    sweep.see([])
    broken = sweep.verification()
    assert isinstance(missing, Gap)
    assert isinstance(broken, Gap)
    assert ("does not exist" in missing.reason, "not TOML" in broken.reason) == (True, True)


def test_the_hashing_thread_does_it_when_nothing_else_is_asked(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    records = Records(None)
    sweep = Sweep(records, None, DAY, 1e12)
    look(sweep, tmp_path)
    hasher = Hasher(records)
    hasher.look_after(sweep)
    hasher.look_after(sweep)
    until = time.monotonic() + 10
    while look(sweep, tmp_path).counts != {"ok": 1} and time.monotonic() < until:
        time.sleep(0.01)
    hasher.close()
    assert look(sweep, tmp_path).counts == {"ok": 1}
