"""Builders of full reports."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

from forgediag.model import Gap, Nvml
from forgediag.testing.reports import JOB_SECONDS, gpu, report, with_gpu


def gaps(value: object) -> list[Gap]:
    if isinstance(value, Gap):
        return [value]
    if is_dataclass(value):
        return [gap for item in fields(value) for gap in gaps(getattr(value, item.name))]
    if isinstance(value, tuple):
        return [gap for item in value for gap in gaps(item)]
    return []


def test_a_full_report_has_no_gap() -> None:
    assert gaps(report(2).snapshot) == []


def test_a_report_moves_as_time_goes_on() -> None:
    first, later = report(seconds=1), report(seconds=1 + 10 * JOB_SECONDS)
    assert first.snapshot.tallies["forge"].jobs == {"done": 0, "oom": 0}
    assert later.snapshot.tallies["forge"].jobs == {"done": 9, "oom": 1}


def test_a_card_holds_what_it_says() -> None:
    for seconds in range(20):
        card = gpu(1, seconds)
        assert not isinstance(card.memory, Gap)
        memory = card.memory
        assert memory.total == memory.used + memory.free + (memory.reserved or 0)
        assert max(card.peaks.values()) >= memory.used


def test_the_first_card_can_be_changed_and_the_others_stay() -> None:
    nvml = with_gpu(report(2), memory=Gap("lost", "lost")).snapshot.nvml
    assert isinstance(nvml, Nvml)
    assert [isinstance(card.memory, Gap) for card in nvml.gpus] == [True, False]


def test_a_report_without_cards_has_none_to_change() -> None:
    given = report()
    bare = replace(given, snapshot=replace(given.snapshot, nvml=Gap("no driver", "missing")))
    with pytest.raises(TypeError, match="no driver"):
        with_gpu(bare, memory=None)
