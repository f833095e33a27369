"""A point a second, for a quarter of an hour."""

from __future__ import annotations

from forgediag.model import Recent
from forgediag.profile.recent import SECONDS, Recorded


def recorded(*points: tuple[float, int | None]) -> Recent:
    made = Recorded()
    for at, value in points:
        made.add(at, value)
    return made.read()


def test_the_highest_of_each_second_is_kept() -> None:
    assert recorded((10.0, 3), (10.4, 7), (10.8, None), (10.9, 5), (11.0, 2)) == Recent(12, (7, 2))


def test_an_unread_second_is_filled_by_a_later_reading_in_it() -> None:
    assert recorded((10.0, None), (10.5, 4)) == Recent(11, (4,))


def test_a_call_that_comes_late_stands_for_the_seconds_since_the_one_before() -> None:
    assert recorded((10.0, 3), (12.1, 7)) == Recent(13, (3, 7, 7))


def test_a_long_silence_is_unknown() -> None:
    assert recorded((10.0, 3), (20.0, 7)) == Recent(21, (3, *[None] * 9, 7))


def test_a_clock_that_goes_back_counts_for_the_newest_second() -> None:
    assert recorded((10.0, 3), (4.0, 9)) == Recent(11, (9,))


def test_the_oldest_go_first_and_a_year_of_silence_costs_nothing() -> None:
    made = recorded((0.0, 1), (31_536_000.0, 2))
    assert len(made.values) == SECONDS
    assert made.values[-2:] == (None, 2)


def test_the_same_object_is_given_until_something_changes() -> None:
    made = Recorded()
    made.add(1.0, 5)
    first = made.read()
    made.add(1.5, 4)
    assert made.read() is first
    made.add(1.6, 6)
    assert made.read() == Recent(2, (6,))
