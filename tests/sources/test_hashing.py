"""Hashes come from the background, once for each version of a file, and are remembered."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forgediag.model import Gap, Known
from forgediag.sources import thread
from forgediag.sources.hashing import Hasher
from forgediag.sources.reading import BLOCK
from forgediag.sources.records import Records
from forgediag.sources.stamp import Stamp

DATA = b"forge" * 1_000_000


def version_of(path: Path) -> Stamp:
    return Stamp.of(path.stat())


def settled(hasher: Hasher, path: Path, version: Stamp | None = None) -> Known[str]:
    """What the hasher says once it has stopped saying that it hashes."""
    wanted = version_of(path) if version is None else version
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = hasher.sha256(str(path), wanted)
        if not (isinstance(result, Gap) and result.kind == "starting"):
            return result
        time.sleep(0.005)
    raise AssertionError("the hash never came")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(DATA)
    return path


Make = Callable[..., Hasher]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Hasher] = []

    def build(cache: Path | None = None, **settings: object) -> Hasher:
        records = Records(cache, settle=0.0)
        made.append(Hasher(records, **{"settle": 0.0, **settings}))  # type: ignore[arg-type]  # settings as given by the test
        return made[-1]

    yield build
    for hasher in made:
        hasher.close()


def test_a_hash_is_a_gap_first_and_then_known(make: Make, model: Path) -> None:
    hasher = make()
    first = hasher.sha256(str(model), version_of(model))
    assert isinstance(first, Gap)
    assert settled(hasher, model) == hashlib.sha256(DATA).hexdigest()


def test_a_hash_is_remembered_over_a_restart(make: Make, model: Path, tmp_path: Path) -> None:
    first = make(tmp_path / "state/files.jsonl")
    settled(first, model)
    first.close()
    assert (
        make(tmp_path / "state/files.jsonl").sha256(str(model), version_of(model)) == hashlib.sha256(DATA).hexdigest()
    )


def test_a_hash_that_another_process_took_is_taken_up(make: Make, model: Path, tmp_path: Path) -> None:
    records = Records(tmp_path / "files.jsonl", settle=0.0)
    hasher, other = Hasher(records), make(tmp_path / "files.jsonl")
    settled(other, model)
    other.close()
    records.refresh()
    assert hasher.sha256(str(model), version_of(model)) == hashlib.sha256(DATA).hexdigest()


def test_a_file_read_too_soon_is_known_to_this_process_alone(make: Make, model: Path) -> None:
    records = Records(None)
    hasher = Hasher(records, settle=0.0)
    assert settled(hasher, model) == hashlib.sha256(DATA).hexdigest()
    hasher.close()
    assert isinstance(make(None).sha256(str(model), version_of(model)), Gap)
    assert records.trusted(str(model), version_of(model)) is None


def test_damage_is_sampled_until_the_file_was_read_whole(make: Make, model: Path) -> None:
    model.write_bytes(DATA[:1_000_000] + bytes(4_000_000))
    hasher = make()
    sampled = hasher.damage(str(model), version_of(model))
    assert sampled is not None
    assert sampled.id == "zero-stretch"
    assert hasher.damage(str(model), version_of(model)) is sampled
    settled(hasher, model)
    assert hasher.damage(str(model), version_of(model)) == sampled


def test_a_file_that_cannot_be_sampled_has_no_damage(make: Make, tmp_path: Path) -> None:
    assert make().damage(str(tmp_path / "gone"), Stamp(1, 2, 3, 4)) is None


def test_another_version_is_hashed_again(make: Make, model: Path) -> None:
    hasher = make()
    settled(hasher, model)
    model.write_bytes(b"new")
    assert settled(hasher, model) == hashlib.sha256(b"new").hexdigest()


def test_a_file_of_another_version_than_asked_for_is_a_gap(make: Make, model: Path) -> None:
    result = settled(make(), model, Stamp(1, 2, 3, 4))
    assert isinstance(result, Gap)
    assert result.reason == "model.safetensors changed while it was hashed"


def test_a_file_that_changes_while_it_is_read_is_a_gap(make: Make, model: Path) -> None:
    def touch() -> bool:
        os.utime(model, ns=(1, 1))
        return False

    result = settled(make(busy=touch), model, version_of(model))
    assert isinstance(result, Gap)
    assert "changed while it was hashed" in result.reason


def test_a_file_that_cannot_be_read_is_a_gap(make: Make, tmp_path: Path) -> None:
    result = settled(make(), tmp_path / "gone.safetensors", Stamp(1, 2, 3, 4))
    assert isinstance(result, Gap)
    assert "gone.safetensors cannot be hashed" in result.reason


def test_a_file_that_could_not_be_hashed_is_tried_again_after_a_while(make: Make, tmp_path: Path) -> None:
    hasher, path, version = make(retry=0.2), tmp_path / "late.safetensors", Stamp(len(DATA), 1, 1, 1)
    first = settled(hasher, path, version)
    assert isinstance(first, Gap)
    path.write_bytes(DATA)
    deadline = time.monotonic() + 10
    while (again := hasher.sha256(str(path), version)) == first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert again == Gap("late.safetensors changed while it was hashed")


def test_a_file_written_a_moment_ago_is_left_alone_until_its_time_can_be_trusted(make: Make, model: Path) -> None:
    hasher = make(settle=0.5)
    age = time.time() - model.stat().st_mtime
    started = time.monotonic()
    assert settled(hasher, model) == hashlib.sha256(DATA).hexdigest()
    assert time.monotonic() - started >= 0.45 - age


def test_a_file_with_a_time_in_the_future_is_not_waited_for(
    make: Make, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: model.stat().st_mtime - 86_400)
    assert settled(make(settle=3600.0), model) == hashlib.sha256(DATA).hexdigest()


def test_hashing_stands_still_while_a_job_runs(make: Make, model: Path) -> None:
    busy, asked = threading.Event(), threading.Event()
    busy.set()

    def is_busy() -> bool:
        asked.set()
        return busy.is_set()

    hasher = make(busy=is_busy, pause=0.01)
    hasher.sha256(str(model), version_of(model))
    assert asked.wait(5)
    time.sleep(0.05)
    assert isinstance(hasher.sha256(str(model), version_of(model)), Gap)
    busy.clear()
    assert settled(hasher, model) == hashlib.sha256(DATA).hexdigest()


def test_close_ends_a_hash_under_way(make: Make, model: Path) -> None:
    asked = threading.Event()

    def always() -> bool:
        asked.set()
        return True

    hasher = make(busy=always, pause=60)
    hasher.sha256(str(model), version_of(model))
    assert asked.wait(5)
    started = time.monotonic()
    hasher.close()
    assert time.monotonic() - started < 2
    assert isinstance(hasher.sha256(str(model), version_of(model)), Gap)


def test_no_thread_runs_before_there_is_something_to_hash(make: Make) -> None:
    before = threading.active_count()
    make()
    assert threading.active_count() == before


@pytest.mark.skipif(sys.platform != "linux", reason="a thread's priority can be read on Linux only")
def test_the_thread_steps_back_behind_everything_else(make: Make, model: Path) -> None:
    seen: list[int] = []

    def look() -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return False

    settled(make(busy=look), model)
    assert set(seen) == {19}
    assert len(seen) == -(-len(DATA) // BLOCK)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread's priority is set this way on Linux only")
def test_a_system_that_refuses_a_lower_priority_is_no_obstacle(
    make: Make, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(thread.os, "setpriority", refuse)
    assert settled(make(), model) == hashlib.sha256(DATA).hexdigest()
