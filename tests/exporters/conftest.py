"""A metric's samples by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from forgediag.model import Distribution, Report
from forgediag_exporters.metrics import METRICS

Values = Mapping[tuple[str, ...], float | Distribution]


@pytest.fixture
def samples() -> Callable[[str, Report], Values]:
    """The value of each series of one metric, by its label values."""
    table = {metric.name: metric for metric in METRICS}
    return lambda name, given: dict(table[name].samples(given))
