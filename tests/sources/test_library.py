"""Files are read once, kindly, and nothing wrong is said of one that changes, hangs or cannot be read."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from forgediag.forge.folders import Folder
from forgediag.sources import whole as source
from forgediag.sources.inventory import Entry, walk
from forgediag.sources.library import Manner, Reader
from forgediag.sources.records import Records


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written a moment ago count as settled."""
    monkeypatch.setattr("forgediag.sources.records.Record.settled", lambda self, seconds: True)


def put(path: Path, content: bytes = b"abc") -> Path:
    path.write_bytes(content)
    return path


def entries(folder: Path) -> list[Entry]:
    return list(walk([Folder("other", str(folder))]).entries)


@pytest.mark.usefixtures("old")
def test_a_file_is_read_once_and_then_trusted(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    reader = Reader(Records(None))
    first, second = reader.take(entries(tmp_path)[0]), reader.take(entries(tmp_path)[0])
    assert (first.read, second.read) == (True, False)
    assert first.record == second.record


@pytest.mark.usefixtures("old")
def test_full_trusts_nothing(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    records = Records(None)
    Reader(records).take(entries(tmp_path)[0])
    assert Reader(records, full=True).take(entries(tmp_path)[0]).read


def test_other_names_of_a_file_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "b.gguf").hardlink_to(put(tmp_path / "a.gguf"))
    reader = Reader(Records(None))
    first, second = (reader.take(entry) for entry in entries(tmp_path))
    assert (first.read, second.read) == (True, False)
    assert first.record == second.record


def test_a_file_written_to_while_it_is_read_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.gguf")
    real = source.identify

    def identify(name: str, **options: object) -> object:
        found = real(name, **options)  # type: ignore[arg-type]  # handed on as they come
        put(path, b"abd")
        os.utime(path, ns=(0, 0))
        return found

    monkeypatch.setattr(source, "identify", identify)
    taken = Reader(records := Records(None)).take(entries(tmp_path)[0])
    assert (taken.record, taken.unreadable) == (None, "changed while it was read")
    assert len(records) == 0


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EIO, "Input/output error"), "the disk reports an error"),
        (OSError(errno.ESTALE, "Stale file handle"), "network disk"),
        (PermissionError(13, "Permission denied"), "may not be read"),
        (FileNotFoundError(2, "No such file"), "does not exist"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, says: str
) -> None:
    put(tmp_path / "a.gguf")

    def fail(name: str, **options: object) -> object:
        raise error

    monkeypatch.setattr(source, "identify", fail)
    taken = Reader(Records(None)).take(entries(tmp_path)[0])
    assert taken.record is None
    assert says in (taken.unreadable or "")


def test_a_disk_that_hangs_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.gguf")
    put(tmp_path / "b.gguf")
    asked: list[str] = []

    def hang(name: str, **options: object) -> object:
        asked.append(name)
        time.sleep(1)
        raise OSError

    monkeypatch.setattr(source, "identify", hang)
    reader = Reader(Records(None), Manner(patience=0.1))
    first, second = (reader.take(entry).unreadable or "" for entry in entries(tmp_path))
    assert "has not answered for 0.1 s" in first
    assert "did not answer before" in second
    assert len(asked) == 1


def test_reading_keeps_to_its_rate(tmp_path: Path) -> None:
    with (tmp_path / "a.gguf").open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    told: list[tuple[str, int]] = []
    started = time.monotonic()
    manner = Manner(rate=40 * 1024 * 1024, told=lambda path, done: told.append((path, done)))
    Reader(Records(None), manner).take(entries(tmp_path)[0])
    assert time.monotonic() - started >= 0.2
    path, mb = str(tmp_path / "a.gguf"), 1024 * 1024
    assert told == [(path, 0), (path, 4 * mb), (path, 8 * mb), (path, 9 * mb)]


def test_reading_stands_still_while_forge_is_busy(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    answers = [True, True, False, False]
    Reader(Records(None), Manner(busy=lambda: answers.pop(0), pause=0.01)).take(entries(tmp_path)[0])
    assert answers == []


def test_several_are_read_at_once_and_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate("cab"):
        put(tmp_path / f"{name}.gguf", bytes([number]) * 10)
    (tmp_path / "d.gguf").hardlink_to(tmp_path / "a.gguf")
    meet = threading.Barrier(3, timeout=5)
    real = source.identify

    def identify(name: str, **options: object) -> object:
        meet.wait()
        return real(name, **options)  # type: ignore[arg-type]  # handed on as they come

    monkeypatch.setattr(source, "identify", identify)
    totals: list[int] = []
    reader = Reader(Records(None), Manner(at_once=3, starts=totals.append))
    found = list(reader.take_all({Path(entry.path).stem: entry for entry in entries(tmp_path)}))
    assert [name for name, _, _ in found] == ["a", "b", "c", "d"]
    assert [taken.read for _, _, taken in found] == [True, True, True, False]
    assert totals == [30]


def test_giving_up_ends_every_read(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    with (tmp_path / "b.gguf").open("wb") as file:
        file.truncate(400 * 1024 * 1024)
    reader = Reader(Records(None), Manner(rate=4 * 1024 * 1024, at_once=2))
    reading = reader.take_all({entry.path: entry for entry in entries(tmp_path)})
    next(reading)
    reading.close()
    until = time.monotonic() + 5
    while any(thread.name.startswith(("forgediag-crew", "forgediag-disk")) for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
