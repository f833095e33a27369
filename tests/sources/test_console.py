"""Forge's console followed as it is written."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from forgediag.forge.log import Event, Loaded, Moved, OutOfMemory, Seen
from forgediag.sources.console import ConsoleFollower, journal

MOVED = "Moving model(s) has taken {:.2f} seconds\n"


@pytest.fixture
def follow() -> Iterator[Callable[..., ConsoleFollower]]:
    followers: list[ConsoleFollower] = []

    def start(**how: object) -> ConsoleFollower:
        follower = ConsoleFollower(**how)  # type: ignore[arg-type] - its own arguments
        followers.append(follower)
        follower.start()
        return follower

    yield start
    for follower in followers:
        follower.stop()


def until(follower: ConsoleFollower, count: int = 1) -> list[Event]:
    """The next events, waited for."""
    events: list[Event] = []
    deadline = time.monotonic() + 5
    while len(events) < count and time.monotonic() < deadline:
        events += [seen.event for seen in follower.take()]
        time.sleep(0.005)
    return events


def opened(follower: ConsoleFollower) -> None:
    deadline = time.monotonic() + 5
    while follower.gap is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert follower.gap is None


def missing(follower: ConsoleFollower) -> None:
    deadline = time.monotonic() + 5
    while follower.gap is not None and follower.gap.kind == "starting" and time.monotonic() < deadline:
        time.sleep(0.005)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_what_is_written_comes_out_as_events(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    follower = follow(path=str(path))
    opened(follower)

    append(path, MOVED.format(0.05) + "half of a li")

    assert until(follower) == [Moved(0.05)]


def test_what_was_written_before_is_history(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    path.write_text("All loaded to GPU.\n", "utf-8")
    follower = follow(path=str(path))
    opened(follower)
    append(path, MOVED.format(1))

    assert until(follower) == [Moved(1.0)]
    assert [seen.event for seen in follower.history] == [Loaded(None)]


def test_a_file_that_comes_later_is_found(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    follower = follow(path=str(path))
    missing(follower)
    assert follower.gap is not None
    assert f"{path} cannot be read: No such file" in follower.gap.reason

    append(path, MOVED.format(2))

    assert until(follower) == [Moved(2.0)]


def test_a_rotated_file_is_followed_into_its_successor(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    follower = follow(path=str(path))
    opened(follower)
    append(path, MOVED.format(1))
    assert until(follower) == [Moved(1.0)]

    path.rename(tmp_path / "forge.log.1")
    append(tmp_path / "forge.log.1", MOVED.format(2))
    append(path, MOVED.format(3))

    assert until(follower, 2) == [Moved(2.0), Moved(3.0)]


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    follower = follow(path=str(path))
    opened(follower)
    append(path, MOVED.format(1) * 10)
    assert len(until(follower, 10)) == 10

    path.write_text(MOVED.format(2), "utf-8")

    assert until(follower) == [Moved(2.0)]


def test_powershells_utf_16_is_understood(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    follower = follow(path=str(path))
    missing(follower)

    path.write_bytes(MOVED.format(4).replace("\n", "\r\n").encode("utf-16"))

    assert until(follower) == [Moved(4.0)]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    follower = follow(path=str(path))
    opened(follower)

    with path.open("ab") as file:
        file.write(b"\x00\xff\x80\x01" * 100 + b"\nCUDA out of memory\n")

    assert until(follower) == [OutOfMemory("CUDA out of memory")]


def test_a_directory_is_a_gap(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    follower = follow(path=str(tmp_path))
    deadline = time.monotonic() + 5
    while (follower.gap is None or follower.gap.kind != "failed") and time.monotonic() < deadline:
        time.sleep(0.005)

    assert follower.gap is not None
    assert "Is a directory" in follower.gap.reason or os.name == "nt"


def test_a_disk_that_fails_is_a_gap_until_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follow: Callable[..., ConsoleFollower]
) -> None:
    path = tmp_path / "forge.log"
    path.touch()
    follower = follow(path=str(path))
    opened(follower)

    def fail(handle: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("forgediag.sources.console.os.read", fail)
        deadline = time.monotonic() + 5
        while follower.gap is None and time.monotonic() < deadline:
            time.sleep(0.005)
    assert follower.gap is not None
    assert "Input/output error" in follower.gap.reason
    append(path, MOVED.format(7))

    assert until(follower) == [Moved(7.0)]
    assert follower.gap is None


def test_the_output_of_a_command_is_followed(follow: Callable[..., ConsoleFollower]) -> None:
    program = f"import time; print({MOVED.format(5)!r}, flush=True); time.sleep(60)"

    assert until(follow(command=[sys.executable, "-c", program])) == [Moved(5.0)]


def test_a_command_that_is_not_there_is_a_gap(follow: Callable[..., ConsoleFollower]) -> None:
    follower = follow(command=["/nowhere/forge-log"])
    deadline = time.monotonic() + 5
    while (follower.gap is None or follower.gap.kind == "starting") and time.monotonic() < deadline:
        time.sleep(0.005)

    assert follower.gap is not None
    assert "/nowhere/forge-log cannot be run: No such file" in follower.gap.reason


def test_a_command_that_ended_is_started_again(
    monkeypatch: pytest.MonkeyPatch, follow: Callable[..., ConsoleFollower]
) -> None:
    monkeypatch.setattr("forgediag.sources.console.AGAIN", 0.01)

    events = until(follow(command=[sys.executable, "-c", f"print({MOVED.format(6)!r})"]), 2)

    assert events[:2] == [Moved(6.0), Moved(6.0)]


def test_a_unit_is_followed_by_journalctl() -> None:
    assert journal("forge.service")[0] == "journalctl"
    assert journal("forge.service")[-1] == "--unit=forge.service"


def test_whoever_waits_is_told_at_once(tmp_path: Path, follow: Callable[..., ConsoleFollower]) -> None:
    log, told = tmp_path / "forge.log", queue.Queue[Sequence[Seen]]()
    log.touch()
    follower = follow(path=str(log))
    follower.on_events = told.put
    opened(follower)
    log.write_text(MOVED.format(0.5), "utf-8")

    assert [seen.event for seen in told.get(timeout=5)] == [Moved(0.5)]
