"""docs/metrics.md and docs/alerts.md from the declarations: `python -m forgediag_exporters.docs metrics`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from forgediag_exporters.alert import Alert
from forgediag_exporters.alerts_machine import RECORDINGS
from forgediag_exporters.metric import Metric
from forgediag_exporters.metrics import METRICS
from forgediag_exporters.rules import ALERTS

UNITS = {
    "bytes_per_second": "bytes/s",
    "bytes": "bytes",
    "timestamp_seconds": "Unix time",
    "seconds": "seconds",
    "ratio": "0 to 1",
    "celsius": "°C",
    "watts": "watts",
    "hertz": "hertz",
    "lanes": "lanes",
}
"""By the end of a metric's name; the longest that fits counts."""

_METRICS = """# Metrics

What `/metrics` exports. A fact that is not known has no series: it vanishes, it does not freeze, and
`forgediag_poll_success` and the findings say why. No label holds a path, a prompt, a user's name or a secret. This page
is generated from the exporters' own declarations.

| metric | type | unit | labels | what it is | question it answers |
| --- | --- | --- | --- | --- | --- |"""

_ALERTS = """# Alerts

`forgediag assets prometheus DIR` writes these rules; `--docs URL` makes their runbook links lead to this page where you
have put it. Each is for one condition; a Forge that is down raises ForgeDown, and nothing else about what it would have
told.

No alert knows of XID errors: NVML tells them only to programs that wait for its events, which forgediag does not.
GpuLost knows when a card fell off the bus, GpuThrottled and GpuHot why it is slow; the number is in the kernel's log.

This page is generated from the rules' own declarations."""

_RECORDED = """
## Recorded

Series that the rules compute for the alerts, and for whoever wants them over a long time:

| series | what it tells | from |
| --- | --- | --- |"""


def metrics_page(metrics: Sequence[Metric]) -> str:
    """The page about all metrics, as Markdown."""
    return "\n".join([_METRICS, *map(_metric, metrics), ""])


def unit(name: str) -> str:
    """The unit that a metric's name ends with; nothing for counts, states and info."""
    fitting = [end for end in UNITS if name.endswith("_" + end)]
    return UNITS[max(fitting, key=len)] if fitting else ""


def _metric(metric: Metric) -> str:
    shown = metric.name + ("_total" if metric.kind == "counter" else "")
    labels = " ".join(f"`{label}`" for label in metric.labels)
    return f"| `{shown}` | {metric.kind} | {unit(metric.name)} | {labels} | {metric.help} | {metric.question} |"


def alerts_page(alerts: Sequence[Alert]) -> str:
    """The page that the alerts' `runbook_url` leads to, as Markdown."""
    recorded = [f"| `{each.name}` | {each.what} | `{_cell(each.expr)}` |" for each in RECORDINGS]
    return "\n".join([_ALERTS, *map(_alert, alerts), _RECORDED, *recorded, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _alert(alert: Alert) -> str:
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(alert.steps, 1))
    wait = "at once" if alert.wait == "0m" else f"after {alert.wait}"
    return f"\n## {alert.name}\n\n{alert.severity}, {wait}:\n\n```promql\n{alert.expr}\n```\n\n{steps}"


def page(name: str) -> str:
    """The page `docs/NAME.md`.

    Raises:
        KeyError: there is no such page.
    """
    return {"metrics": lambda: metrics_page(METRICS), "alerts": lambda: alerts_page(ALERTS)}[name]()


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
