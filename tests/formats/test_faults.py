"""Every fault is told once, and its page is the table's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forgediag.formats.docs import page
from forgediag.formats.faults import FAULTS, fault

DOCS = Path(__file__).parents[2] / "docs" / "files.md"


def test_the_page_is_what_the_table_says() -> None:
    if not DOCS.parent.is_dir():
        pytest.skip("the docs folder is not here: the page is not compared")
    command = [sys.executable, "-m", "forgediag.formats.docs"]
    assert DOCS.read_text("utf-8") == page()
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode().replace("\r\n", "\n") == page()


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_title_a_reason_and_a_way_out(name: str) -> None:
    kind = FAULTS[name]
    assert kind.title
    assert not kind.title.endswith(".")
    assert kind.why.endswith(".")
    assert kind.fix
    assert all(step.endswith((".", "alone.")) for step in kind.fix)
    assert fault(name, "x").fix == kind.fix
