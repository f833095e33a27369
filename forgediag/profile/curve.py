"""A number over time that holds until the next one: memory used on a card, a process's resident memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

LIMIT = 60_000
"""Points kept at most, 16 bytes each: ten minutes at 100 Hz, and hours of what a real card does."""


class Curve:
    """Points in order of time, in seconds of any clock. A value equal to the last one takes no room."""

    __slots__ = ("_limit", "_newest", "_times", "_values")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._times = array("d")
        self._values = array("q")
        self._newest = float("-inf")

    def __len__(self) -> int:
        """Points kept."""
        return len(self._times)

    def add(self, at: float, value: int) -> None:
        """Note a value seen at `at`; a time that goes back is taken for the newest one."""
        self._newest = max(self._newest, at)
        if self._values and self._values[-1] == value:
            return
        if len(self._times) >= self._limit:
            del self._times[: self._limit // 4], self._values[: self._limit // 4]
        self._times.append(self._newest)
        self._values.append(value)

    def at(self, moment: float) -> int | None:
        """The value at a moment: the last one seen before it; None before the first."""
        index = bisect_right(self._times, moment)
        return self._values[index - 1] if index else None

    def peak(self, start: float, end: float) -> int | None:
        """The largest value between two moments, the one that held at the start included; None before the first."""
        found = self._values[max(0, bisect_right(self._times, start) - 1) : bisect_left(self._times, end)]
        return max(found, default=None)

    def between(self, start: float, end: float) -> tuple[tuple[float, int], ...]:
        """The points from the one that holds at the start on, as (seconds, value)."""
        first, last = max(0, bisect_right(self._times, start) - 1), bisect_left(self._times, end)
        return tuple(zip(self._times[first:last], self._values[first:last], strict=True))
