"""Work is shared out among threads, and one at a time where a disk has a head to move."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path

import pytest

from forgediag.sources import crew as source
from forgediag.sources.crew import Crew, at_once

linux = pytest.mark.skipif(not hasattr(os, "major"), reason="devices have numbers on POSIX only")


def test_results_come_by_name_and_errors_too() -> None:
    crew = Crew({"a": lambda: 1, "b": lambda: 1 // 0}, 2)
    assert crew.result("a") == 1
    assert crew.result("c") is None
    with pytest.raises(ZeroDivisionError):
        crew.result("b")


def test_as_many_as_asked_for_work_at_once() -> None:
    meet = threading.Barrier(3, timeout=5)
    crew = Crew({str(number): partial(meet.wait) for number in range(3)}, 3)
    assert sorted(crew.result(str(number)) or 0 for number in range(3)) == [0, 1, 2]


def test_what_was_not_begun_is_left_when_it_stops() -> None:
    go, begun = threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> None:
        begun.set()
        go.wait(5)

    crew = Crew({"a": first, "b": lambda: done.append(1)}, 1)
    assert begun.wait(5)
    crew.stop()
    go.set()
    crew.result("a")
    assert done == []


@linux
@pytest.mark.parametrize(("turns", "count"), [("1\n", 1), ("0\n", 3)])
@pytest.mark.parametrize("part", [False, True], ids=["disk", "partition"])
def test_a_disk_with_a_head_is_read_one_file_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: str, count: int, part: bool
) -> None:
    monkeypatch.setattr(source, "usable_cores", lambda: 3)
    disk = tmp_path / "devices/sda"
    (disk / "queue").mkdir(parents=True)
    (disk / "queue/rotational").write_text(turns)
    (disk / "sda1").mkdir()
    (tmp_path / "8:1").symlink_to(disk / "sda1" if part else disk)
    assert at_once({os.makedev(8, 1)}, tmp_path) == count


@linux
def test_a_file_system_without_a_disk_is_read_by_all_cores_but_not_by_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "usable_cores", lambda: 64)
    assert at_once({os.makedev(0, 44)}, tmp_path) == source.MOST
