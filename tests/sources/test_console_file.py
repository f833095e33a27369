"""Bytes of a log to lines: files, pipes, the journal, and what is none."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgediag.sources import console_file
from forgediag.sources.console_file import ConsoleFileError, blocks, decoded, journal, lines


def read(pieces: list[bytes]) -> list[str]:
    return list(lines(decoded(iter(pieces), "x")))


def test_bytes_cut_anywhere_are_whole_lines() -> None:
    assert read(["a\nß".encode()[:3], "ß".encode()[1:] + b"c\r\nd"]) == ["a", "ßc\r", "d"]


def test_utf_16_with_a_byte_order_mark_is_read() -> None:
    assert read(["Fehler\nzwei".encode("utf-16")]) == ["Fehler", "zwei"]


@pytest.mark.parametrize(("pieces", "why"), [([], "is empty"), ([bytes(100)], "is a binary file")])
def test_what_is_no_log_is_refused(pieces: list[bytes], why: str) -> None:
    with pytest.raises(ConsoleFileError, match=why):
        read(pieces)


def test_a_line_without_end_keeps_its_start_and_its_end() -> None:
    (line,) = lines(iter(["start" + "x" * 800_000] + ["y" * 800_000] * 3 + ["end"]))
    assert line.startswith("start")
    assert line.endswith("end")
    assert len(line) < 1_700_000


def test_a_file_is_read_in_blocks_and_a_missing_one_said(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"abc")
    assert b"".join(blocks(str(path), io.BytesIO())) == b"abc"
    with pytest.raises(ConsoleFileError, match="cannot be read: No such file"):
        list(blocks(str(tmp_path / "y"), io.BytesIO()))


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are POSIX")
def test_a_fifo_that_nobody_writes_to_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(ConsoleFileError, match="nothing came from"):
            list(blocks(str(path), io.BytesIO(), patience=0.2))
        os.write(writer, b"line\n")
        assert b"".join(blocks(str(path), io.BytesIO(), patience=0.5)) in {b"line\n", b""}
    except ConsoleFileError:
        pass
    finally:
        os.close(writer)


def test_standard_input_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"line")
    os.close(writer)
    with os.fdopen(reader, "rb") as stdin:
        assert list(blocks("-", stdin)) == [b"line"]


def commands(tmp_path: Path, script: str) -> str:
    path = tmp_path / "journalctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.skipif(sys.platform == "win32", reason="journalctl is Linux's")
def test_the_journal_is_read_and_its_failure_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", commands(tmp_path, "echo one; exit 0"))
    assert list(journal("forge")) == [b"one\n"]
    monkeypatch.setenv("PATH", commands(tmp_path, "exit 3"))
    with pytest.raises(ConsoleFileError, match="status 3"):
        list(journal("forge"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ConsoleFileError, match="journalctl cannot be run"):
        list(journal("forge"))


def test_a_pipe_that_fails_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    reader, writer = os.pipe()
    monkeypatch.setattr(console_file.os, "read", fail)
    with os.fdopen(reader, "rb") as stdin, os.fdopen(writer, "wb"):
        pieces: Iterator[bytes] = blocks("-", stdin)
        assert list(pieces) == []
