from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgediag.sources.peaks import BUCKETS, Peaks, SlidingMax

steps = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 10**11)), min_size=1, max_size=200)


def timeline(steps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    at, found = 1000.0, []
    for pause, value in steps:
        at += pause
        found.append((at, value))
    return found


@given(steps, st.floats(0, 40))
def test_a_window_never_forgets_early_and_never_remembers_longer_than_one_bucket(
    steps: list[tuple[float, int]], wait: float
) -> None:
    window = SlidingMax(15)
    seen = timeline(steps)
    for at, value in seen:
        window.add(value, at)
    now = seen[-1][0] + wait
    inside = [value for at, value in seen if at > now - 15 + 1e-6]
    at_most = [value for at, value in seen if at > now - 15 - 15 / BUCKETS - 1e-6]

    found = window.get(now)

    assert found is None or found in at_most
    assert (found or 0) <= max(at_most, default=0)
    assert not inside or (found is not None and found >= max(inside))


@given(steps)
def test_every_moment_of_a_timeline_is_covered(steps: list[tuple[float, int]]) -> None:
    window = SlidingMax(15)
    seen: list[tuple[float, int]] = []
    for at, value in timeline(steps):
        window.add(value, at)
        seen.append((at, value))
        inside = max(old for then, old in seen if then > at - 15 + 1e-6)
        found = window.get(at)
        assert found is not None
        assert found >= inside


def test_memory_stays_bounded_while_values_only_fall() -> None:
    window = SlidingMax(15)
    for i in range(100_000):
        window.add(200_000 - i, i / 100)
    assert len(window._maxima) <= BUCKETS + 2


def test_reading_resets_nothing() -> None:
    peaks = Peaks((15, 60))
    peaks.add(7, 100.0)
    assert peaks.get(101.0) == peaks.get(101.0) == {15: 7, 60: 7}


def test_a_window_without_values_is_left_out() -> None:
    peaks = Peaks((15, 60))
    peaks.add(7, 100.0)
    assert peaks.get(130.0) == {60: 7}


def test_a_clock_that_goes_back_forgets_nothing() -> None:
    window = SlidingMax(15)
    window.add(9, 100.0)
    window.add(3, 90.0)
    assert window.get(100.0) == 9


@pytest.mark.parametrize("window", [1, 15, 300, 86_400])
def test_the_edge_is_one_sixtieth_of_the_window(window: int) -> None:
    one = SlidingMax(window)
    one.add(5, 1000.0)
    assert one.get(1000.0 + window) == 5
    assert one.get(1000.0 + window * (1 + 1.01 / BUCKETS)) is None
