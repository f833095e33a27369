"""What a metric is: a row of the table, with a function of the report that yields its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from forgediag.model import Distribution, Report

Sample = tuple[tuple[str, ...], float | Distribution]
"""Label values in the order of the metric's labels, and the value (a Distribution for a histogram)."""

Samples = Callable[[Report], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    `name` is without the `_total` of a counter. `question` is what an operator asks that this answers. A fact that
    is a gap, or that the driver does not have, yields no sample: series vanish, they do not freeze.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...]
    question: str
    samples: Samples
