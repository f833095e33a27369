"""When was the memory used, and by which job? The last quarter of an hour with the phases of the generations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forgediag.model import Gap, Job, Phase, Recent, Target
from forgediag.recording.chart import PHASES
from forgediag_exporters.page.card import swatch
from forgediag_exporters.page.html import Html, join, tag
from forgediag_exporters.page.words import OUTCOMES, identity, span
from forgediag_exporters.text import size

LEAST, COLUMNS = 120, 300
"""Seconds shown at least, and points drawn at most: each is the highest of the seconds it stands for."""

HIGH, STRIP = 180, 14
"""Pixels of the curve, and of the strip of phases below it."""


def timeline(target: Target, recent: Recent | None) -> Html | None:
    """The chart; None where no card is read or nothing was seen yet."""
    if isinstance(target.gpu, Gap) or recent is None or not any(recent.values):
        return None
    name = identity("memory", target.name)
    seconds = max(LEAST, len(recent.values))
    start = recent.end - seconds
    total = target.gpu.info.total
    jobs = [job for job in target.jobs if _end(job) > start]
    highest = max(value for value in recent.values if value is not None)
    told = (
        f"Highest {size(highest)} of {size(total)}. {len(jobs)} generation{'s' * (len(jobs) != 1)} ended in that time."
    )
    return tag(
        "section",
        tag("h3", f"Memory in the last {round(seconds / 60)} minutes", id=f"{name}-t"),
        tag(
            "svg",
            tag("title", "Memory used on the card over time", id=f"{name}-s"),
            tag("desc", told, id=f"{name}-d"),
            _bands(jobs, start, seconds),
            _grid(total),
            tag(
                "svg",
                _curve(recent.values, seconds, total),
                viewBox=f"0 0 1000 {HIGH}",
                preserveAspectRatio="none",
                width="100%",
                height=HIGH,
            ),
            _marks(jobs, start, seconds),
            _strip(jobs, start, seconds),
            _times(seconds),
            class_="chart timeline",
            role="img",
            aria_labelledby=f"{name}-s {name}-d",
        ),
        tag("p", told, class_="quiet"),
        _legend(jobs),
        id=name,
        aria_labelledby=f"{name}-t",
    )


def _y(size_: float, total: int) -> float:
    return round(HIGH * (1 - min(1.0, size_ / total)), 1)


def _curve(values: Sequence[int | None], seconds: int, total: int) -> Iterator[Html]:
    """The area under the curve, broken where nothing was read."""
    first = seconds - len(values)
    each = max(1, round(seconds / COLUMNS))
    runs: list[list[tuple[float, float]]] = [[]]
    for begin in range(0, len(values), each):
        known = [value for value in values[begin : begin + each] if value is not None]
        if known:
            y = _y(max(known), total)
            runs[-1] += [(_x(first + begin, seconds), y), (_x(first + begin + each, seconds), y)]
        elif runs[-1]:
            runs.append([])
    for run in filter(None, runs):
        line = "L".join(f"{x:g} {y:g}" for x, y in run)
        yield tag("path", d=f"M{run[0][0]:g} {HIGH}L{line}L{run[-1][0]:g} {HIGH}Z", class_="area")
        yield tag("path", d=f"M{line}", class_="line")


def _x(second: float, seconds: int) -> float:
    return round(1000 * min(1.0, second / seconds), 1)


def _grid(total: int) -> Iterator[Html]:
    for part in (1.0, 0.5):
        y = 0.5 if part == 1.0 else HIGH * (1 - part)
        yield tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
        yield tag("text", size(int(part * total)), x="4", y=y + 14)
    yield tag("line", x1="0", x2="100%", y1=HIGH, y2=HIGH, class_="axis")


def _times(seconds: int) -> Iterator[Html]:
    y = HIGH + STRIP + 20
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        ago = seconds * (1 - part)
        text = "now" if not ago else f"{ago / 60:g} min ago"
        yield tag("text", text, x=f"{100 * part:g}%", y=y, text_anchor=anchor)


def _across(start: float, end: float, begin: float, seconds: int) -> tuple[str, str]:
    """`x` and `width` of a stretch of time, in per cent."""
    left = max(0.0, (start - begin) / seconds)
    return f"{100 * left:.2f}%", f"{100 * max(0.0, min(1.0, (end - begin) / seconds) - left):.2f}%"


def _bands(jobs: Sequence[Job], begin: float, seconds: int) -> Iterator[Html]:
    for job in jobs:
        x, width = _across(job.started, _end(job), begin, seconds)
        title = tag("title", f"{job.model or 'a job'}: {OUTCOMES[job.outcome]}")
        yield tag("rect", title, x=x, width=width, height=HIGH, class_="job")


def _marks(jobs: Sequence[Job], begin: float, seconds: int) -> Iterator[Html]:
    """What became of the jobs that did not end well, beside their bands."""
    for row, job in enumerate(job for job in jobs if job.outcome != "done"):
        late = _end(job) - begin > 0.6 * seconds
        moment = _end(job) if late else job.started
        yield tag(
            "text",
            OUTCOMES[job.outcome],
            x=_across(moment, moment, begin, seconds)[0],
            y=HIGH - 6 - 16 * (row % 3),
            class_=f"mark {job.outcome}",
            text_anchor="end" if late else None,
        )


def _end(job: Job) -> float:
    return job.started if job.ended is None else job.ended


def _strip(jobs: Sequence[Job], begin: float, seconds: int) -> Iterator[Html]:
    for job in jobs:
        for phase in job.phases:
            x, width = _across(phase.start, phase.end, begin, seconds)
            yield tag(
                "svg",
                tag("title", f"{PHASES[phase.name]}: {span(phase.seconds)}"),
                tag("rect", width="100%", height=STRIP),
                x=x,
                y=HIGH,
                width=width,
                height=STRIP,
                class_=f"part {phase.name}",
            )


def _legend(jobs: Sequence[Job]) -> Html | None:
    seen = {phase.name for job in jobs for phase in job.phases}
    if not seen:
        return None
    return tag("ul", (tag("li", swatch(name), PHASES[name]) for name in PHASES if name in seen), class_="keys")


def phase_bar(phases: Sequence[Phase]) -> Html | None:
    """One generation's phases, as long as they took; its text names the longest."""
    whole = sum(phase.seconds for phase in phases)
    if whole <= 0:
        return None
    drawn: list[Html] = []
    at = 0.0
    for phase in phases:
        share = phase.seconds / whole
        title = tag("title", f"{PHASES[phase.name]}: {span(phase.seconds)}")
        place = {"x": f"{100 * at:.2f}%", "width": f"{100 * share:.2f}%"}
        drawn.append(
            tag("svg", title, tag("rect", width="100%", height="12"), **place, height="12", class_=f"part {phase.name}")
        )
        at += share
    longest = max(phases, key=lambda phase: phase.seconds)
    words = ", ".join(f"{PHASES[phase.name]} {span(phase.seconds)}" for phase in phases)
    return join(
        tag("svg", drawn, class_="phases", role="img", aria_label=words),
        tag("span", f"mostly {PHASES[longest.name]} ({span(longest.seconds)})", class_="quiet"),
    )
