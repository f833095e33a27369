"""The last quarter of an hour of a number, a point a second: what a chart is drawn from."""

from __future__ import annotations

from collections import deque

from forgediag.model import Recent

SECONDS = 900
"""Points kept at most, one a second: some 36 KB."""


BETWEEN = 5
"""Seconds between two calls that the later one's value still stands for; a longer silence is unknown."""


class Recorded:
    """The highest value of each second. Times are Unix seconds; one that goes back counts for the newest second."""

    def __init__(self) -> None:
        self._points: deque[int | None] = deque(maxlen=SECONDS)
        self._second = 0
        self._read: Recent | None = None

    def add(self, at: float, value: int | None) -> None:
        """Note the highest value since the last call; None where nothing was read."""
        second = int(at)
        if self._points and second <= self._second:
            before = self._points[-1]
            if value is None or (before is not None and before >= value):
                return
            self._points[-1] = value
        else:
            if self._points:
                missed = second - self._second - 1
                self._points.extend([value if missed < BETWEEN else None] * min(missed, SECONDS))
            self._points.append(value)
            self._second = second
        self._read = None

    def read(self) -> Recent:
        """All points; the same object until another is added."""
        if self._read is None:
            self._read = Recent(self._second + 1, tuple(self._points))
        return self._read
