"""The history on a real SQLite file."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.history import Chronicle, History, HistoryError, HistoryWriter, Limits
from forgediag.history.store import FILE, Row
from forgediag.model import Finding, Gap, OptionChange, Severity, VerdictChange
from forgediag.testing.jobs import job
from forgediag.testing.reports import report, with_target

CHANGE = OptionChange(100.0, "forge", "forge_inference_memory", 1024.0, 2048.0, "other")


def opened(path: Path) -> History:
    return History(path, create=True)


def test_a_job_comes_back_as_it_was(tmp_path: Path) -> None:
    made = job(1000.0, swapped=2394)
    opened(tmp_path).write([made])

    assert History(tmp_path).jobs("forge") == [made]
    assert History(tmp_path).jobs("another") == []


def test_the_newest_come_first(tmp_path: Path) -> None:
    opened(tmp_path).write([job(float(start)) for start in (1, 3, 2)])

    assert [made.started for made in History(tmp_path).jobs(limit=2)] == [3.0, 2.0]


def test_a_changed_option_keeps_its_values_and_cause(tmp_path: Path) -> None:
    modules = replace(
        CHANGE, at=101.0, key="forge_additional_modules", old=[], new=["/m/ae.safetensors"], cause="restart"
    )
    opened(tmp_path).write([CHANGE, modules])

    assert History(tmp_path).option_changes("forge") == [replace(modules, id=2), replace(CHANGE, id=1)]


def test_a_change_this_program_wrote_is_known_for_ours(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.note_write(95.0, "forge", {"forge_inference_memory": None})
    history.write([CHANGE, replace(CHANGE, at=500.0)])

    assert [change.cause for change in history.option_changes()] == ["other", "forgediag"]


def test_verdicts_and_curves_come_back(tmp_path: Path) -> None:
    history = opened(tmp_path)
    verdict = VerdictChange(5.0, "failure", ("vae-latent-channels: ae",))
    history.write([verdict, {"gpu:GPU-1": (10, 5, 9)}, {"gpu:GPU-1": (10, 4, 7)}, {"gpu:GPU-1": (20, 1, 2)}])

    assert history.verdicts() == [verdict]
    assert history.curve("gpu:GPU-1", 0, 15) == [(10, 4, 9)]


def test_no_history_yet_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"there is no history yet at .*history.sqlite3: `forgediag run` writes it"):
        History(tmp_path)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but somebody's file" * 100)

    with pytest.raises(HistoryError, match=r"history.sqlite3 cannot be used: file is not a database"):
        opened(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"not a database")


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(HistoryError, match="its version is 99, newer than this forgediag knows"):
        opened(tmp_path)


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history._connection.execute("DROP TABLE job")

    with pytest.raises(HistoryError, match="no such table: job"):
        history.jobs()
    with pytest.raises(HistoryError, match="no such table: job"):
        history.write([job(1.0)])
    with pytest.raises(HistoryError, match="no such table: job"):
        history.trim(0.0, 10**9)
    history._connection.execute("DROP TABLE write")
    with pytest.raises(HistoryError, match="no such table: write"):
        history.note_write(1.0, "forge", {"a": 1})


def test_a_write_is_whole_or_not_there(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history._connection.execute("DROP TABLE verdict_change")

    with pytest.raises(HistoryError):
        history.write([job(1.0), VerdictChange(1.0, "ok", ())])
    assert history.jobs() == []


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.write([job(1.0), job(1000.0), CHANGE, {"gpu:1": (5, 1, 1)}])

    history.trim(500.0, 10**9)

    assert [made.started for made in history.jobs()] == [1000.0]
    assert history.option_changes() == []


def test_the_file_stays_within_its_size_and_keeps_the_newest(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for start in range(0, 3000, 100):
        history.write([job(float(start + number)) for number in range(100)])
    assert history.size() > 1_000_000

    history.trim(0.0, 500_000)

    assert history.size() <= 500_000
    assert history.jobs(limit=1)[0].started == 2999.0


def test_ten_thousand_jobs_fit_into_8_megabytes(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.write([job(float(number)) for number in range(10_000)])

    assert history.size() < 8 * 1024 * 1024


def test_a_second_writer_waits_its_turn(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    for number in range(20):
        first.write([job(float(number))])
        second.write([job(float(number) + 0.5)])

    assert len(History(tmp_path).jobs()) == 40


def test_the_writer_takes_rows_without_waiting(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, wall=lambda: 100.0)
    writer.start()
    writer.add(job(1.0))
    writer.add(CHANGE)
    writer.stop()

    assert writer.gap is None
    assert len(History(tmp_path).jobs()) == len(History(tmp_path).option_changes()) == 1


def test_the_writer_lets_old_rows_go(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, Limits(days=1.0), wall=lambda: 200_000.0)
    writer.add(job(1.0))
    writer.add(job(199_000.0))
    writer.flush()

    assert [made.started for made in History(tmp_path).jobs()] == [199_000.0]


def test_a_disk_that_is_full_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = HistoryWriter(tmp_path, wall=lambda: 100.0)
    writer.add(job(1.0))
    writer.flush()

    def full(self: History, rows: list[Row]) -> None:
        raise HistoryError("the history cannot be used: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(History, "write", full)
        writer.add(job(2.0))
        writer.add(job(3.0))
        writer.flush()
        assert writer.gap == Gap("the history cannot be used: database or disk is full", "failed")
        writer.flush()
    writer.add(job(4.0))
    writer.flush()

    assert writer.gap is None
    assert [made.started for made in History(tmp_path).jobs()] == [4.0, 3.0, 2.0, 1.0]


def test_a_directory_that_cannot_be_made_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = HistoryWriter(tmp_path / "file" / "state")
    writer.add(CHANGE)
    writer.flush()

    assert writer.gap is not None
    assert "history.sqlite3 cannot be used" in writer.gap.reason


def test_a_killed_writer_loses_nothing_it_had_written(tmp_path: Path) -> None:
    """Twelve times at a random moment; each row that was told to be written is there, and the file is sound."""
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from forgediag.history import History
        from forgediag.testing.jobs import job
        history = History(Path({str(tmp_path)!r}), create=True)
        number = int(sys.argv[1])
        while True:
            history.write([job(float(number))])
            print(number, flush=True)
            number += 1
        """
    )
    told = 0
    chance = random.Random(7)
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", program, str(told + 1)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.15))
            os.kill(child.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            told = max([told, *(int(line) for line in child.stdout.read().split())], default=told) or told
    history = History(tmp_path)

    assert history._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {made.started for made in history.jobs(limit=10**6)} >= {float(told)}


def test_a_verdict_is_remembered_when_it_changes() -> None:
    rows: list[Row] = []
    chronicle = Chronicle(rows.append)
    calm = replace(report(), findings=())
    worse = replace(calm, findings=(Finding("host-ram", Severity.FAILURE, "forge", "RAM", "no memory left"),))

    for given in (calm, calm, worse, worse):
        chronicle.follow(given)

    assert [(row.verdict, row.findings) for row in rows if isinstance(row, VerdictChange)] == [
        ("ok", ()),
        ("failure", ("host-ram: RAM",)),
    ]


def test_curves_are_kept_in_steps_of_ten_seconds() -> None:
    rows: list[Row] = []
    chronicle = Chronicle(rows.append)
    for seconds in range(25):
        chronicle.follow(report(seconds=float(seconds)))
    points = [row for row in rows if isinstance(row, dict) and any(name.startswith("gpu:") for name in row)]

    assert [at for row in points for at, *_ in row.values()] == [1_700_000_000, 1_700_000_010]
    assert all(low <= high for row in points for _, low, high in row.values())
    assert any("ram:forge" in row for row in rows if isinstance(row, dict))


def test_without_a_card_or_a_process_there_are_no_curves() -> None:
    rows: list[Row] = []
    given = with_target(report(), process=Gap("not here"))
    Chronicle(rows.append).follow(replace(given, snapshot=replace(given.snapshot, nvml=Gap("no card"))))

    assert [type(row) for row in rows] == [VerdictChange]
