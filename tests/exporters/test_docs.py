"""The pages that are generated: about metrics and alerts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forgediag_exporters.docs import page, unit
from forgediag_exporters.metrics import METRICS
from forgediag_exporters.rules import ALERTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(not DOCS.exists(), reason="docs/ is not beside the tests (they run on the wheel)")
@pytest.mark.parametrize("name", ["metrics", "alerts"])
def test_a_page_is_what_the_declarations_say(name: str) -> None:
    command = f"python -m forgediag_exporters.docs {name} >docs/{name}.md"
    assert (DOCS / f"{name}.md").read_text("utf-8") == page(name), command


@pytest.mark.parametrize("name", ["metrics", "alerts"])
def test_a_page_is_printed_to_be_written_anew(name: str) -> None:
    command = [sys.executable, "-X", "utf8", "-m", "forgediag_exporters.docs", name]
    assert subprocess.run(command, check=True, capture_output=True).stdout.decode() == page(name)


def test_every_metric_has_a_row() -> None:
    rows = page("metrics")
    for metric in METRICS:
        assert f"`{metric.name}{'_total' if metric.kind == 'counter' else ''}`" in rows


def test_every_alert_has_the_heading_its_runbook_url_leads_to() -> None:
    assert [line[3:] for line in page("alerts").splitlines() if line.startswith("## ")] == [
        *(alert.name for alert in ALERTS),
        "Recorded",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("forge_gpu_memory_bytes", "bytes"),
        ("forge_gpu_pcie_bandwidth_bytes_per_second", "bytes/s"),
        ("forgediag_snapshot_timestamp_seconds", "Unix time"),
        ("process_cpu_seconds", "seconds"),
        ("forge_up", ""),
    ],
)
def test_a_unit_is_told_by_the_end_of_the_name(name: str, shown: str) -> None:
    assert unit(name) == shown
