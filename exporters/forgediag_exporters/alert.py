"""What an alerting rule and a recording rule are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]

HERE = 'job=~"forgediag.*"'
ON = "on (job, instance, target)"
NOT_DOWN = f"unless {ON} (forge_up{{{HERE}}} == 0)"
"""What a Forge that is down brings with it is told by ForgeDown alone."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. `wait` is how long `expr` must hold; `steps` are what its reader does, in order."""

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule: a series called `name`, and what it is for."""

    name: str
    expr: str
    what: str


def checked(*checks: str, at_least: int = 3) -> str:
    """One of these checks ended at least so: 2 is a warning, 3 a failure."""
    names = "|".join(checks)
    return f'(forge_check_status{{{HERE}, check=~"{names}"}} >= {at_least})\n{NOT_DOWN}'
