"""How did the last generations end, and where did their time go?"""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.model import Job, Target
from forgediag_exporters.page.html import Html, Node, table, tag
from forgediag_exporters.page.timeline import phase_bar
from forgediag_exporters.page.words import OUTCOMES, base_name, clock, identity, span
from forgediag_exporters.text import size

SHOWN = 8

COLUMNS = ("ended", "outcome", "model", "took", "where the time went", "highest on the card")


def jobs(target: Target) -> Html | None:
    """The last generations, the newest first; None before the first."""
    if not target.jobs:
        return None
    name = identity("jobs", target.name)
    rows = [_row(job) for job in reversed(target.jobs[-SHOWN:])]
    return tag(
        "section",
        tag("h3", "The last generations", id=f"{name}-t"),
        table(COLUMNS, rows),
        id=name,
        class_="wide jobs",
        aria_labelledby=f"{name}-t",
    )


def _row(job: Job) -> Sequence[Node]:
    end = job.started if job.ended is None else job.ended
    peak = max((phase.device_peak for phase in job.phases if phase.device_peak is not None), default=None)
    return (
        clock(end),
        tag("span", OUTCOMES[job.outcome], class_=f"outcome {job.outcome}"),
        base_name(job.model) if job.model else "?",
        "?" if job.ended is None else span(job.ended - job.started),
        phase_bar(job.phases) or "not seen",
        "not seen" if peak is None else size(peak),
    )
