"""A recording in the terminal: one table a generation."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from forgediag.forge.selection import base_name
from forgediag.model import Job
from forgediag.recording.chart import GIB, PHASES
from forgediag.recording.document import Recorded


def text(recorded: Recorded, before: Recorded | None) -> str:
    """The tables; with an earlier recording, its last generation beside the last one."""
    lines = [line for number, job in enumerate(recorded.jobs, start=1) for line in _job(number, job)]
    if before is not None and before.jobs and recorded.jobs:
        lines += ["compared with the recording from before:", *_compared(recorded.jobs[-1], before.jobs[-1])]
    return "\n".join(lines) + "\n" if lines else ""


def _job(number: int, job: Job) -> Iterator[str]:
    took = "" if job.ended is None else f", {job.ended - job.started:.1f} s"
    model = "" if job.model is None else f", {base_name(job.model)}"
    size = "" if job.pixels is None else f", {job.pixels / 1e6:.2f} megapixels"
    yield f"generation {number}: {job.outcome}{took}{model}{size}"
    if job.error:
        yield f"  {job.error.splitlines()[0]}"
    if job.phases:
        yield f"  {'phase':<16}{'seconds':>9}{'peak':>12}{'above weights':>15}{'swapped':>12}"
    for phase in job.phases:
        sizes = (phase.device_peak, phase.above_weights, phase.swapped)
        shown = ["-" if size is None else f"{size / GIB:.2f} GiB" for size in sizes]
        yield f"  {PHASES[phase.name]:<16}{phase.seconds:>9.2f}{shown[0]:>12}{shown[1]:>15}{shown[2]:>12}"
    if job.step_seconds:
        longest = max(job.step_seconds)
        middle = median(job.step_seconds)
        yield f"  {len(job.step_seconds)} steps: {middle:.3f} s in the middle, {longest:.3f} s at most"
    if job.phases and not any(phase.seen_in == "log" for phase in job.phases):
        yield "  told by progress alone; with Forge's console (--log FILE) the phases are exact"


def _compared(now: Job, then: Job) -> Iterator[str]:
    for name, title in PHASES.items():
        took = sum(phase.seconds for phase in now.phases if phase.name == name)
        had = sum(phase.seconds for phase in then.phases if phase.name == name)
        if took or had:
            change = f"{100 * (took / had - 1):+.0f} %" if had else "new"
            yield f"  {title:<16}{took:>9.2f} s  before {had:.2f} s  {change}"
