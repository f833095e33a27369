"""What reading commands share: waiting for a busy Forge, and a line of progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from forgediag.cli import reading
from forgediag.config import Config, TargetConfig
from forgediag.testing.forge.thread import ForgeThread


@pytest.fixture
def forge() -> Iterator[ForgeThread]:
    with ForgeThread() as thread:
        yield thread


def test_an_idle_forge_is_not_busy_and_is_not_asked_at_every_block(forge: ForgeThread) -> None:
    busy = reading._Busy(Config(targets=(TargetConfig(url=forge.url),)))
    assert not busy()
    asked = busy._ask_at
    assert not busy()
    assert busy._ask_at == asked


def test_without_a_forge_nothing_is_busy() -> None:
    assert not reading._Busy(Config(targets=()))()
    assert not reading._Busy(Config(targets=(TargetConfig(url="http://127.0.0.1:9"),)))()


def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    moments = iter([0.0, 0.0, 2.0])
    monkeypatch.setattr(reading.time, "monotonic", lambda: next(moments))
    with reading._Shown() as shown:
        shown.starts(200)
        shown.bytes_read("a.gguf", 100)
    assert " 50% 0 MB/s, 2 s left  a.gguf" in capsys.readouterr().err
