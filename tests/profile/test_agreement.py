"""What Forge printed against the rules known of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forgediag.forge.log import Loaded, LogReader
from forgediag.profile.agreement import departures

GOLDEN = Path(__file__).parents[1] / "golden"
FITS = Loaded("KModel", 7200.0, 640.16, 0.0, 1024.0, 5535.84, 0.0, 640.16)
SWAPS = Loaded("KModel", 11278.15, 11350.09, 0.0, 1024.0, -1095.94, 2394.0, 8956.09, "CPU", "blocked")


def printed(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document] if document.startswith("[Memory") else []
    items = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return [line for item in items for line in printed(item)]


@pytest.mark.parametrize("name", ["scenarios", "played", "measured"])
def test_every_recorded_load_is_as_expected(name: str) -> None:
    lines = printed(json.loads((GOLDEN / f"{name}.json").read_bytes()))
    loads = [seen.event for seen in LogReader().feed("\n".join(lines) + "\n", 0.0) if isinstance(seen.event, Loaded)]

    assert len(loads) > 150
    assert departures(loads) == ()


def test_loads_without_a_name_are_not_judged() -> None:
    assert departures([Loaded(None)]) == ()


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (replace(FITS, remaining=4000.0), "5536 MB should remain free, Forge says 4000 MB"),
        (replace(SWAPS, location=None, swapped=0.0), "does not fit by 1096 MB, but Forge put all of it on the card"),
        (replace(FITS, location="CPU", swapped=100.0), "fits with 5536 MB to spare, but Forge swaps 100 MB"),
        (replace(SWAPS, gpu=5000.0), "some 8974 MB should be on the card, Forge put 5000 MB there"),
    ],
)
def test_a_manager_that_works_otherwise_is_told(load: Loaded, told: str) -> None:
    (line,) = departures([load])

    assert told in line
