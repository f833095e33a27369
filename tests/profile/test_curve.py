"""A number over time that holds until the next one."""

from __future__ import annotations

from forgediag.profile.curve import Curve


def curve(*points: tuple[float, int], limit: int = 100) -> Curve:
    made = Curve(limit)
    for at, value in points:
        made.add(at, value)
    return made


def test_a_value_holds_until_the_next() -> None:
    made = curve((1, 10), (2, 20))

    assert [made.at(moment) for moment in (0.5, 1.0, 1.9, 2.0, 9.0)] == [None, 10, 10, 20, 20]


def test_a_value_that_stays_takes_no_room() -> None:
    assert len(curve((1, 10), (2, 10), (3, 10))) == 1


def test_a_peak_counts_what_held_at_the_start_and_not_what_came_at_the_end() -> None:
    made = curve((1, 30), (2, 10), (3, 50))

    assert made.peak(1.5, 3.0) == 30
    assert made.peak(2.0, 3.1) == 50


def test_before_the_first_value_there_is_no_peak() -> None:
    assert curve((5, 1)).peak(1, 2) is None
    assert curve().peak(1, 2) is None


def test_points_between_two_moments_begin_with_what_held() -> None:
    assert curve((1, 30), (2, 10), (3, 50)).between(1.5, 3.0) == ((1.0, 30), (2.0, 10))


def test_the_oldest_points_go_first() -> None:
    made = curve(*((n, n) for n in range(1000)), limit=100)

    assert len(made) <= 100
    assert made.at(999) == 999


def test_a_clock_that_goes_back_does_not_disturb_the_order() -> None:
    assert curve((5, 1), (3, 2)).at(5) == 2
