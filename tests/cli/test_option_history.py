"""What the options were, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forgediag.cli.option_history import net
from forgediag.history import History
from forgediag.model import OptionChange
from forgediag.testing.forge import ForgeThread, Setup

Run = Callable[..., Any]
INFERENCE = "forge_inference_memory"


def change(at: float, old: object, new: object, cause: str = "other", key: str = INFERENCE) -> OptionChange:
    return OptionChange(at, "forge", key, old, new, cause)  # type: ignore[arg-type] - one of the four


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "cache" / "forgediag", create=True)


def test_without_a_history_the_way_to_one_is_told(run: Run) -> None:
    ended = run("options", "history")

    assert ended.status == 3
    assert "there is no history yet" in ended.err


def test_history_tells_what_changed_and_how(run: Run, history: History) -> None:
    history.write([change(1.0, 1024.0, 2048.0), change(2.0, 2048.0, 1024.0, "page"), change(3.0, "a", "b", key="x")])

    ended = run("options", "history", INFERENCE)

    assert [line.lstrip().split("  ", 2)[2] for line in ended.out.splitlines()] == [
        f"{INFERENCE}  2048 -> 1024  (the web page was opened)",
        f"{INFERENCE}  1024 -> 2048  (another client, or the web page)",
    ]
    assert run("options", "history", "--json").json["changes"][0] == {
        "id": 3, "at": 3.0, "target": "forge", "key": "x", "old": "a", "new": "b", "cause": "other",
    }  # fmt: skip


def test_an_empty_history_says_so(run: Run, history: History) -> None:
    assert run("options", "history").out == "no option has changed since the history began\n"
    assert run("options", "diff").out == "every option is what it was\n"


def test_diff_joins_changes_and_leaves_out_what_came_back(run: Run, history: History) -> None:
    history.write([
        change(1.0, 1024.0, 2048.0), change(2.0, 2048.0, 3072.0), change(3.0, "a", "b", key="x"),
        change(4.0, "b", "a", key="x"),
    ])  # fmt: skip

    assert run("options", "diff").out == f"{INFERENCE}  1024 -> 3072\n"
    assert run("options", "diff", "--since", 2, "--json").json["changes"] == [
        {"key": INFERENCE, "old": 2048.0, "new": 3072.0}
    ]
    assert net([change(2.0, 2, 3), change(1.0, 1, 2)]) == {INFERENCE: (1, 3)}


def test_a_change_that_is_not_there_is_named(run: Run, history: History) -> None:
    for command in (("diff", "--since", 9), ("undo", 9)):
        ended = run("options", *command)
        assert ended.status == 2
        assert "there is no change 9" in ended.err


def test_undo_needs_something_of_ours(run: Run, history: History) -> None:
    history.write([change(1.0, 1024.0, 2048.0)])

    ended = run("options", "undo")

    assert ended.status == 1
    assert "the history knows of nothing forgediag has set" in ended.err


def test_undo_puts_back_what_was_set_last(run: Run, history: History) -> None:
    with ForgeThread(Setup()) as forge:
        assert run("--forge", forge.url, "options", "set", f"{INFERENCE}=2048").status == 0
        history.write([change(1.0, 1024.0, 2048.0, "forgediag")])

        ended = run("--forge", forge.url, "options", "undo")
        assert ended.status == 0, ended.err
        assert f"{INFERENCE}  2048 -> 1024" in ended.out
        assert run("--forge", forge.url, "options", "undo", "1", "--json").json["changes"][0]["new"] == 1024.0


def test_undo_without_a_forge_writes_nothing(run: Run, history: History, no_forge: None) -> None:
    history.write([change(1.0, 1024.0, 2048.0, "forgediag")])

    ended = run("options", "undo")

    assert ended.status == 1
    assert "nothing was written" in ended.err


def test_what_a_command_writes_is_known_for_ours(run: Run, history: History) -> None:
    with ForgeThread(Setup()) as forge:
        assert run("--forge", forge.url, "options", "set", f"{INFERENCE}=2048").status == 0

    (noted,) = history._connection.execute("SELECT key FROM write").fetchall()
    assert noted == (INFERENCE,)
