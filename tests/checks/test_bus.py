"""A card in a narrow slot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.testing.facts import GPU, problems
from forgediag_checks.bus import pcie_link


def linked(lanes: int | None, generation: int | None = 4) -> list[str]:
    info = replace(GPU.info, pcie_max_width=lanes, pcie_max_generation=generation)
    return [problem.message for problem in problems(pcie_link, replace(GPU, info=info))]


def test_four_lanes_are_told_with_what_they_carry() -> None:
    assert linked(4) == ["the card and its slot have PCIe 4 x4, 7.9 GB/s at most: swapped weights move that slowly"]


def test_an_unknown_generation_is_left_out() -> None:
    assert linked(1, None) == ["the card and its slot have PCIe x1: swapped weights move that slowly"]


@pytest.mark.parametrize("lanes", [8, 16, None])
def test_a_wide_link_or_one_the_driver_does_not_tell_is_no_finding(lanes: int | None) -> None:
    assert linked(lanes) == []
