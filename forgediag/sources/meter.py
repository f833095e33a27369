"""How reading goes: durations, last success, errors by kind."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from forgediag.model import Distribution, Gap, GapKind, SourceHealth

REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds. An idle Forge answers in 1.5 to 6 ms, one that loads a model in up to 180 ms (measured)."""

JOB_BOUNDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds of one generation: from a warm SD1.5 image to a Flux batch on a small card."""

PHASE_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 180)
"""Seconds of one phase of a generation: 0.1 to 20 s were measured, sampling can take longer."""

PEAK_BOUNDS = tuple(gib * 1024.0**3 for gib in (2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48))
"""Bytes of a card's memory, at the sizes cards are sold in."""


class Histogram:
    """Counts observations into buckets."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> Distribution:
        """The cumulative counts so far."""
        cumulative: list[int] = []
        total = 0
        for count in self._counts:
            total += count
            cumulative.append(total)
        return Distribution(self._bounds, tuple(cumulative[:-1]), total, self._sum)


class Meter:
    """One source's health."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._success = False
        self._last_success: float | None = None
        self._duration = 0.0
        self._errors: Counter[GapKind] = Counter()

    def record(self, fact: object, seconds: float, at: float) -> None:
        """Note one read: a Gap is a failure unless it was expected or is only not read yet. `at` is in Unix seconds."""
        if isinstance(fact, Gap) and fact.kind == "starting":
            return
        self._duration = seconds
        self._success = not isinstance(fact, Gap) or fact.expected
        if self._success:
            self._last_success = at
        elif isinstance(fact, Gap):
            self._errors[fact.kind] += 1

    def read(self) -> SourceHealth:
        """The health so far."""
        errors = {str(kind): count for kind, count in self._errors.items()}
        return SourceHealth(self.source, self._success, self._last_success, self._duration, errors)
