"""Largest values in sliding windows that no reader resets."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import floor

BUCKETS = 60
"""Buckets a window is cut into: its edge is sharp to 1/60 of its length (250 ms of 15 s, 5 s of 300 s)."""


class SlidingMax:
    """The largest of the values added within the last `window` seconds.

    Values are kept as bucket maxima, at most BUCKETS + 2 of them. A value is never forgotten before it is `window`
    seconds old and never remembered once it is older than `window` plus one bucket (`window / BUCKETS`).
    Times are seconds on any clock that does not go back; an earlier time counts as the latest one seen.
    """

    __slots__ = ("_maxima", "_newest", "_width", "window")

    def __init__(self, window: float) -> None:
        self.window = window
        self._width = window / BUCKETS
        self._maxima: deque[tuple[int, int]] = deque()  # (bucket, value): buckets rise, values fall
        self._newest = 0

    def add(self, value: int, at: float) -> None:
        """Note a value seen at `at`."""
        maxima = self._maxima
        bucket = floor(at / self._width)
        if maxima:
            bucket = max(bucket, self._newest)
            last_bucket, last = maxima[-1]
            if last_bucket == bucket and last >= value:
                return
            while maxima and maxima[-1][1] <= value:
                maxima.pop()
        self._newest = bucket
        maxima.append((bucket, value))
        while maxima[0][0] < bucket - BUCKETS - 1:
            maxima.popleft()

    def get(self, at: float) -> int | None:
        """The largest value of the window that ends at `at`, None when nothing was added in it."""
        oldest = floor((at - self.window) / self._width)
        return next((value for bucket, value in self._maxima if bucket >= oldest), None)


class Peaks:
    """The same values in several windows (whole seconds)."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Sequence[int]) -> None:
        self._windows = tuple((window, SlidingMax(window)) for window in windows)

    def add(self, value: int, at: float) -> None:
        """Note a value seen at `at`."""
        for _, window in self._windows:
            window.add(value, at)

    def get(self, at: float) -> Mapping[int, int]:
        """The largest value by window in seconds; a window without any value is left out."""
        found = ((seconds, window.get(at)) for seconds, window in self._windows)
        return {seconds: value for seconds, value in found if value is not None}
