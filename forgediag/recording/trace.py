"""A recording for Chrome's tracing and Perfetto: phases and steps as slices, memory as counters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from forgediag.model import MB
from forgediag.recording.document import Recorded

JOB, PHASE, STEP = 1, 2, 3
"""Rows of the trace."""


def trace(recorded: Recorded) -> str:
    """The Trace Event Format: a JSON object with `traceEvents`; times are microseconds."""
    rows = {JOB: "generations", PHASE: "phases", STEP: "sampling steps"}
    named = [
        {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": name}} for tid, name in rows.items()
    ]
    return json.dumps({"traceEvents": [*named, *_events(recorded)], "displayTimeUnit": "ms"}) + "\n"


def _events(recorded: Recorded) -> Iterator[Mapping[str, Any]]:
    for job in recorded.jobs:
        if job.ended is not None:
            yield _slice(JOB, f"{job.outcome}: {job.model or 'unknown model'}", job.started, job.ended - job.started)
        for phase in job.phases:
            yield _slice(PHASE, phase.name, phase.start, phase.seconds)
        at = next((phase.start for phase in job.phases if phase.name == "sample"), None)
        for number, seconds in enumerate(job.step_seconds if at is not None else (), start=1):
            yield _slice(STEP, f"step {number}", at or 0.0, seconds)
            at = (at or 0.0) + seconds
    for moment, used in recorded.curve:
        yield {"ph": "C", "pid": 1, "name": "GPU memory used (MB)", "ts": moment * 1e6, "args": {"MB": used / MB}}


def _slice(row: int, name: str, start: float, seconds: float) -> Mapping[str, Any]:
    return {"ph": "X", "pid": 1, "tid": row, "name": name, "ts": start * 1e6, "dur": seconds * 1e6}
