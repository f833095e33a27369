"""Hashes come from the background, once for each version of a file, and are remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forgediag.model import Gap, Known
from forgediag.sources import thread
from forgediag.sources.files import Version
from forgediag.sources.hashing import Hasher
from forgediag.sources.reading import BLOCK

DATA = b"forge" * 1_000_000


def version_of(path: Path) -> Version:
    found = path.stat()
    return Version(found.st_size, found.st_mtime_ns, found.st_ino)


def settled(hasher: Hasher, path: Path, version: Version | None = None) -> Known[str]:
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
        made.append(Hasher(cache, **{"settle": 0.0, **settings}))  # type: ignore[arg-type]  # settings as given by the test
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
    cache = tmp_path / "state" / "hashes.json"
    settled(make(cache), model)
    while not cache.exists():
        time.sleep(0.005)
    assert make(cache).sha256(str(model), version_of(model)) == hashlib.sha256(DATA).hexdigest()


def test_another_version_is_hashed_again(make: Make, model: Path) -> None:
    hasher = make()
    settled(hasher, model)
    model.write_bytes(b"new")
    assert settled(hasher, model) == hashlib.sha256(b"new").hexdigest()


def test_a_file_of_another_version_than_asked_for_is_a_gap(make: Make, model: Path) -> None:
    result = settled(make(), model, Version(1, 2, 3))
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
    result = settled(make(), tmp_path / "gone.safetensors", Version(1, 2, 3))
    assert isinstance(result, Gap)
    assert "gone.safetensors cannot be hashed" in result.reason


def test_a_file_that_could_not_be_hashed_is_tried_again_after_a_while(make: Make, tmp_path: Path) -> None:
    hasher, path, version = make(retry=0.2), tmp_path / "late.safetensors", Version(len(DATA), 1, 1)
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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema": "other", "files": {}}',
        b'{"schema": "forgediag.hashes/1", "files": {"a": [1]}}',
        b'{"schema": "forgediag.hashes/1", "files": [1]}',
    ],
)
def test_a_cache_that_is_not_ours_is_an_empty_one(make: Make, model: Path, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "hashes.json"
    cache.write_bytes(content)
    assert settled(make(cache), model) == hashlib.sha256(DATA).hexdigest()


def test_the_cache_is_replaced_in_one_step(make: Make, model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "state" / "hashes.json"
    hasher = make(cache)
    settled(hasher, model)
    hasher.close()
    assert json.loads(cache.read_bytes())["files"][str(model)][3] == hashlib.sha256(DATA).hexdigest()
    assert [path.name for path in cache.parent.iterdir()] == ["hashes.json"]


def test_a_cache_that_cannot_be_written_is_told_once(
    make: Make, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hashes.json").mkdir()
    hasher = make(tmp_path / "hashes.json")
    with caplog.at_level(logging.WARNING):
        settled(hasher, model)
        model.write_bytes(b"new")
        settled(hasher, model)
        hasher.close()
    assert [record.message.split(":")[0] for record in caplog.records] == ["hashes are not remembered"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashes.json", "model.safetensors"]


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
