"""The file for node_exporter's textfile collector."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from forgediag.cli.textfile import Textfile, without_own
from forgediag.testing.reports import report


def test_a_report_is_a_whole_file_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    Textfile(tmp_path / "forgediag.prom").write(report())
    Textfile(tmp_path / "forgediag.prom").write(report(seconds=5))
    assert [path.name for path in tmp_path.iterdir()] == ["forgediag.prom"]
    assert "forge_up{" in (tmp_path / "forgediag.prom").read_text("utf-8")


def test_promtool_has_nothing_to_say_about_it(promtool: str, tmp_path: Path) -> None:
    Textfile(tmp_path / "forgediag.prom").write(report())
    text = (tmp_path / "forgediag.prom").read_bytes()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_node_exporter_has_of_itself_is_left_out() -> None:
    text = b"# HELP process_a Of a.\n# TYPE process_a gauge\nprocess_a 1.0\n# HELP forge_up Up.\nforge_up 1.0\n"
    assert without_own(text) == b"# HELP forge_up Up.\nforge_up 1.0\n"


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    textfile = Textfile(tmp_path / "gone" / "forgediag.prom")
    for _ in range(3):
        textfile.write(report())
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'gone' / 'forgediag.prom'} cannot be written: No such file or directory"
    ]
    (tmp_path / "gone").mkdir()
    textfile.write(report())
    assert len(caplog.records) == 1
