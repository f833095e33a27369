"""Work in another process: its answer, and every way it can fail."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import sys
import time
from types import SimpleNamespace

import pytest

from forgediag.sources import apart as module
from forgediag.sources.apart import ApartError, apart


def test_the_answer_comes_from_another_process() -> None:
    assert asyncio.run(apart(os.getpid)) != os.getpid()


def test_what_it_is_given_arrives() -> None:
    assert asyncio.run(apart(divmod, 7, 2)) == (3, 1)


def test_a_failure_is_told_with_its_last_line() -> None:
    with pytest.raises(ApartError, match="ended with 1: ZeroDivisionError"):
        asyncio.run(apart(divmod, 1, 0))


def test_one_that_ends_without_a_word_is_told_too() -> None:
    with pytest.raises(ApartError, match=r"ended with 7$"):
        asyncio.run(apart(os._exit, 7))


def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    with pytest.raises(ApartError, match="took more than"):
        asyncio.run(apart(time.sleep, 60))


def test_a_program_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ApartError, match="could be started: No such file"):
        asyncio.run(apart(os.getpid))


def test_the_other_process_answers_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task, out = pickle.dumps(("builtins", "divmod", (7, 2))), io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(task)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    module.main()
    assert pickle.loads(out.getvalue()) == (3, 1)
