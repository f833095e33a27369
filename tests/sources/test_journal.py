"""Several processes add to one journal, and nothing is lost or mixed up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forgediag.sources import journal as source
from forgediag.sources.journal import Journal

WRITER = """
import sys
from pathlib import Path
from forgediag.sources.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(300):
    journal.add(f"{sys.argv[2]} {number} {'x' * 500}\\n".encode())
    if number % 100 == 50:
        journal.shorten(lambda: b"".join(journal.news_of_all()))
"""


def test_news_are_told_once(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    ours.add(b"1\n")
    assert list(theirs.news()) == [b"1\n"]
    ours.add(b"2\n3\n")
    assert list(theirs.news()) == [b"2\n", b"3\n"]
    assert list(theirs.news()) == []


def test_after_another_process_shortened_it_all_of_it_is_news(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    ours.add(b"1\n2\n")
    list(theirs.news())
    ours.shorten(lambda: b"2\n")
    assert list(ours.news()) == []
    assert list(theirs.news()) == [b"2\n"]


def test_a_line_that_a_kill_cut_is_ended_before_the_next(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"1\nhal")
    journal = Journal(tmp_path / "j")
    assert list(journal.news()) == [b"1\n"]
    journal.add(b"2\n")
    assert list(journal.news()) == [b"hal\n", b"2\n"]


def test_processes_that_add_and_shorten_at_once_lose_nothing(tmp_path: Path) -> None:
    code = WRITER.replace("journal.news_of_all()", "[open(sys.argv[1], 'rb').read()]")
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "j"), name]) for name in "abc"]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    lines = (tmp_path / "j").read_text().splitlines()
    for name in "abc":
        assert [line.split()[1] for line in lines if line.startswith(name)] == [str(number) for number in range(300)]


def test_who_waits_too_long_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "WAIT", 0.05)
    with source._alone(tmp_path / "j"):
        started = time.monotonic()
        Journal(tmp_path / "j").add(b"1\n")
    assert 0.04 < time.monotonic() - started < 1
    assert (tmp_path / "j").read_bytes() == b"1\n"


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, real = Journal(tmp_path / "j"), os.write
    journal.add(b"1\n")
    with monkeypatch.context() as patch:
        patch.setattr(source.os, "write", lambda handle, data: real(handle, data[:3]))
        with pytest.raises(OSError, match="full"):
            journal.add(b"12345\n")
    assert (tmp_path / "j").read_bytes() == b"1\n"
