"""What was read is remembered at once, survives a kill, and is trusted only where a stamp tells every write."""

from __future__ import annotations

import errno
import sys
import threading
import time
from pathlib import Path

import pytest

from forgediag.sources import journal as source
from forgediag.sources.journal import replace
from forgediag.sources.patience import Hung, Left, patiently
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import Stamp, reason

A, B, C = "a" * 64, "b" * 64, "c" * 64
STAMP = Stamp(10, 100_000_000_000, 100_000_000_000, 7)


def record(sha256: str = A, stamp: Stamp = STAMP, began: float = 1000.0) -> Record:
    return Record(stamp, sha256, began, began + 1, "d" * 64)


def test_what_was_added_is_there_in_the_next_process(tmp_path: Path) -> None:
    Records(tmp_path / "j").add("/m/ä", record())
    assert Records(tmp_path / "j").trusted("/m/ä", STAMP) == record()


@pytest.mark.parametrize("cut", [2, 20, 150])
def test_a_line_cut_by_a_kill_costs_that_line_alone(tmp_path: Path, cut: int) -> None:
    journal = tmp_path / "j"
    records = Records(journal)
    records.add("/a", record())
    records.add("/b", record(B))
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = Records(journal)
    again.add("/c", record(C))
    last = Records(journal)
    assert last.last("/a") == record()
    assert last.last("/b") is None
    assert last.last("/c") == record(C)


@pytest.mark.parametrize(
    "stamp",
    [
        Stamp(11, STAMP.modified_ns, STAMP.changed_ns, 7),
        Stamp(10, 1, STAMP.changed_ns, 7),
        Stamp(10, STAMP.modified_ns, 1, 7),
        Stamp(10, STAMP.modified_ns, STAMP.changed_ns, 8),
    ],
)
def test_another_version_is_not_trusted(stamp: Stamp) -> None:
    records = Records(None)
    records.add("/a", record())
    assert records.trusted("/a", stamp) is None


def test_a_file_read_soon_after_a_write_is_not_trusted_later() -> None:
    records = Records(None)
    records.add("/a", record(began=130.0))
    assert records.trusted("/a", STAMP) is None
    records.add("/a", record(began=160.0))
    assert records.trusted("/a", STAMP) is not None


def test_a_time_in_the_future_is_a_copied_one() -> None:
    records = Records(None)
    records.add("/a", record(began=10.0))
    assert records.trusted("/a", STAMP) is not None


def test_other_contents_behind_the_same_size_and_time_are_remembered_with_the_first() -> None:
    records = Records(None)
    records.add("/a", record(A))
    silent = records.add("/a", record(B))
    assert (silent.first, silent.traceless) == (A, sys.platform != "win32")
    still = records.add("/a", record(C))
    assert (still.first, still.traceless) == (A, sys.platform != "win32")
    healed = records.add("/a", record(A))
    assert healed.first is None


def test_a_write_that_set_the_time_back_leaves_its_trace() -> None:
    records = Records(None)
    records.add("/a", record(A))
    hidden = records.add("/a", record(B, Stamp(10, STAMP.modified_ns, STAMP.changed_ns + 1, 7)))
    assert (hidden.first, hidden.traceless) == (A, False)


def test_an_honest_write_starts_anew() -> None:
    records = Records(None)
    records.add("/a", record(A))
    assert records.add("/a", record(B, Stamp(10, 5, 5, 7))).first is None


@pytest.mark.parametrize("text", ["", "[]\n", "{}\n", "nonsense\n", '{"schema": "x"}\n', "\x00" * 100])
def test_a_journal_that_is_none_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "j").write_text(text)
    records = Records(tmp_path / "j")
    assert len(records) == 0
    records.add("/a", record())
    assert len(Records(tmp_path / "j")) == 1


def test_a_long_journal_is_shortened(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    Records(journal).add("/a", record())
    journal.write_bytes(journal.read_bytes() * 1100)
    Records(journal)
    assert len(journal.read_bytes().splitlines()) == 1


def test_a_journal_that_cannot_be_shortened_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "j"
    Records(journal).add("/a", record())
    journal.write_bytes(journal.read_bytes() * 1100)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source, "replace", refuse)
    assert len(Records(journal)) == 1
    assert len(journal.read_bytes().splitlines()) == 1100


def test_a_full_disk_is_said_once_and_costs_only_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def short(handle: int, data: bytes) -> int:
        return len(data) // 2

    monkeypatch.setattr(source.os, "write", short)
    records = Records(tmp_path / "j")
    records.add("/a", record())
    records.add("/b", record())
    assert records.last("/b") is not None
    assert len([line for line in caplog.messages if "not remembered" in line]) == 1


def test_a_text_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    replace(path, b"old")
    path.chmod(0o640)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(source.os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            replace(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    replace(path, b"new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(), "does not exist"),
        (PermissionError(13, "x"), "may not be read"),
        (OSError(errno.EIO, "x"), "the disk reports an error"),
        (OSError(errno.ELOOP, "x"), "loop of links"),
        (OSError(errno.ESTALE, "x"), "network disk"),
        (OSError(99, "Strange"), "Strange"),
        (OSError("plain"), "plain"),
        (ValueError("embedded null byte"), "null"),
    ],
)
def test_errors_are_told_in_words(error: Exception, says: str) -> None:
    assert says in reason(error)


def test_what_a_patient_call_returns_or_raises_arrives() -> None:
    assert patiently(lambda beat: 5, 1.0) == 5
    with pytest.raises(ZeroDivisionError):
        patiently(lambda beat: 1 // 0, 1.0)
    with pytest.raises(TimeoutError):
        patiently(lambda beat: (_ for _ in ()).throw(TimeoutError()), 1.0)


def test_a_call_that_hangs_is_left_and_ends_at_its_next_sign_of_life() -> None:
    go, ended = threading.Event(), threading.Event()

    def hang(beat: object) -> None:
        go.wait(5)
        try:
            beat()  # type: ignore[operator]  # a Beat
        except Left:
            ended.set()

    with pytest.raises(Hung, match="has not answered"):
        patiently(hang, 0.05)
    go.set()
    assert ended.wait(5)


def test_signs_of_life_keep_a_slow_call_alive() -> None:
    def slow(beat: object) -> int:
        for _ in range(6):
            time.sleep(0.05)
            beat()  # type: ignore[operator]  # a Beat
        return 1

    assert patiently(slow, 0.2) == 1
