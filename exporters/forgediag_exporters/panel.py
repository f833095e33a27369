"""What a dashboard is: its variables, and panels that show something in a unit, from queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "state-timeline", "table"]
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
    """A PromQL expression and how its series are called; in a table, its column with a unit and words of its own."""

    expr: str
    legend: str
    unit: str = "none"
    mapping: Mapping = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `stacked` areas add up; series whose name matches the pattern `lines` are drawn over them.

    `repeat` names the variable for each value of which the panel is drawn once. `drill`: what is clicked leads to the
    dashboard of that Forge. `below_zero`: the axis need not begin at 0.
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
    drill: bool = False
    below_zero: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """What can be chosen at the top of a dashboard. `query` may use the variables before it."""

    name: str
    label: str
    query: str
    multiple: bool = True


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard. `refresh` and `since` are Grafana's spans."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    refresh: str = "15s"
    since: str = "now-1h"


def quantiles(metric: str, by: str, legend: str, *shares: float) -> tuple[Query, ...]:
    """Quantiles of a histogram, the median and the 95th percentile unless told which."""
    labels = f"le, {by}"
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{TARGET}}}[$__rate_interval])))",
            f"{legend} p{int(share * 100)}",
        )
        for share in shares or (0.5, 0.95)
    )
