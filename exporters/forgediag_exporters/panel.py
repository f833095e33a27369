"""What a panel of the dashboard is: what it shows, in which unit, from which queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "state-timeline"]
Mapping = tuple[tuple[float, str, str], ...]
"""Value, word and colour."""

TARGET = 'job=~"$job", instance=~"$instance", target=~"$target"'
CARD = 'job=~"$job", instance=~"$instance", gpu=~"$gpu"'
OWN = 'job=~"$job", instance=~"$instance"'

UP: Mapping = ((0, "down", "red"), (1, "up", "green"))
ON: Mapping = ((0, "no", "transparent"), (1, "yes", "orange"))
READ: Mapping = ((0, "fails", "red"), (1, "works", "green"))
STATUS: Mapping = ((0, "ok", "green"), (1, "unknown", "blue"), (2, "warning", "orange"), (3, "failure", "red"))


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `stacked` areas add up; series whose name matches the pattern `lines` are drawn over them.

    `repeat` names the variable for each value of which the panel is drawn once.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    mapping: Mapping = ()
    stacked: bool = False
    lines: str = ""
    repeat: str = ""
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with the panels below it."""

    title: str
    panels: tuple[Panel, ...]


def quantiles(metric: str, by: str, legend: str) -> tuple[Query, ...]:
    """The median and the 95th percentile of a histogram."""
    labels = f"le, {by}"
    return tuple(
        Query(
            f"histogram_quantile({quantile}, sum by ({labels}) (rate({metric}_bucket{{{TARGET}}}[$__rate_interval])))",
            f"{legend} p{int(quantile * 100)}",
        )
        for quantile in (0.5, 0.95)
    )
