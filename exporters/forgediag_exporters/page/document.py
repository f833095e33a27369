"""The whole page: verdict and findings first, then each Forge with its card, memory, advice, jobs and files."""

from __future__ import annotations

from collections.abc import Callable

from forgediag import __version__
from forgediag.model import Gap, Gpu, GpuMemory, Options, Report, Severity, Target
from forgediag_exporters.page import FILES, address
from forgediag_exporters.page.advice import advice
from forgediag_exporters.page.card import card
from forgediag_exporters.page.findings import findings, verdict
from forgediag_exporters.page.html import Html, Node, join, table, tag
from forgediag_exporters.page.jobs import jobs
from forgediag_exporters.page.models import models, settings
from forgediag_exporters.page.timeline import timeline
from forgediag_exporters.page.words import GLYPHS, base_name, clock, identity, private
from forgediag_exporters.text import size

WRITTEN_OUT = 8
"""Forges shown whole, the worst first; the others have their row in the table."""

TITLES = ("Forge", "state", "model", "job", "card")

ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 9h4l2-6 3 10 2-4h3' fill='none' stroke='%23c8501e' stroke-width='2'/%3E%3C/svg%3E"  # noqa: E501


def document(report: Report) -> str:
    """The page as text."""
    targets = sorted(report.snapshot.targets, key=lambda target: -_worst(target, report))
    hide = private(report)
    main = tag(
        "main",
        verdict(report),
        findings(report, hide),
        _table(targets, report) if len(targets) > 1 else None,
        (_target(target, report, hide) for target in targets[:WRITTEN_OUT]),
        id="main",
    )
    body = tag("body", tag("a", "To the findings", href="#main", class_="skip"), _header(report), main, _footer())
    return f"<!doctype html>\n{tag('html', _head(report), body, lang='en')}\n"


def _head(report: Report) -> Html:
    style, script = map(address, FILES)
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", f"{GLYPHS[report.verdict]} {report.verdict.label} - forgediag"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href=ICON),
        tag("link", rel="stylesheet", href=style),
        tag("script", src=script, defer=True),
        tag("noscript", Html('<meta http-equiv="refresh" content="30">')),
    )


def _header(report: Report) -> Html:
    return tag(
        "header",
        tag("span", "forgediag", class_="name"),
        tag("span", "Seen at ", clock(report.snapshot.at), ".", id="seen"),
        tag("span", "Reload for newer facts.", id="state"),
    )


def _footer() -> Html:
    links = (
        ("/metrics", "metrics"),
        ("/api/v1/findings", "findings"),
        ("/api/v1/snapshot", "everything known"),
        ("/api/v1/jobs", "generations"),
        ("/api/v1/recommendation", "advice"),
    )
    return tag(
        "footer",
        tag("p", f"forgediag {__version__}. Nothing on this page changes anything, and nothing leaves this machine."),
        tag(
            "nav", (join(tag("a", label, href=path), " ") for path, label in links), aria_label="The same for programs"
        ),
    )


def _worst(target: Target, report: Report) -> Severity:
    return max((item.severity for item in report.findings if item.target == target.name), default=Severity.OK)


def _table(targets: list[Target], report: Report) -> Html:
    return tag(
        "section",
        tag("h2", f"{len(targets)} Forges", id="targets-title"),
        table(TITLES, (_cells(target, report, linked=index < WRITTEN_OUT) for index, target in enumerate(targets))),
        tag("p", f"The {WRITTEN_OUT} worst are shown below.", class_="quiet") if len(targets) > WRITTEN_OUT else None,
        id="targets",
        aria_labelledby="targets-title",
    )


def _cells(target: Target, report: Report, *, linked: bool) -> tuple[Node, ...]:
    worst = _worst(target, report)
    name = tag("a", target.name, href=f"#{identity('target', target.name)}") if linked else target.name
    state = tag("span", f"{GLYPHS[worst]} {worst.label}", class_=f"badge {worst.label}")
    return name, state, _model(target), _job(target), _card(target)


def _model(target: Target) -> str:
    if isinstance(target.forge, Gap):
        return target.forge.reason
    options = target.forge.options
    return base_name(options.checkpoint or "nothing") if isinstance(options, Options) else options.reason


def _card(target: Target) -> str:
    gpu = target.gpu
    if isinstance(gpu, Gpu) and isinstance(gpu.memory, GpuMemory):
        return f"{size(gpu.memory.used)} of {size(gpu.memory.total)}"
    return "not seen"


def _job(target: Target) -> str:
    if isinstance(target.forge, Gap) or isinstance(target.forge.progress, Gap):
        return "not known"
    progress = target.forge.progress
    if not progress.running:
        return "none"
    return f"step {progress.step} of {progress.steps}" if progress.steps else "loading"


def _target(target: Target, report: Report, hide: Callable[[str], str]) -> Html:
    name = identity("target", target.name)
    recent = None if isinstance(target.gpu, Gap) else report.snapshot.recent.get(target.gpu.info.uuid)
    if isinstance(target.forge, Gap):
        state = f"does not answer: {target.forge.reason}"
    else:
        state = f"{target.forge.url}, {_model(target)}"
    return tag(
        "section",
        tag("h2", target.name, id=f"{name}-title"),
        tag("p", state, ". Job: ", tag("strong", _job(target)), ".", _progress(target)),
        tag(
            "div",
            card(target),
            timeline(target, recent),
            advice(target, report.advice.get(target.name)),
            settings(target, report),
            jobs(target),
            models(target, report, hide),
            class_="panels",
        ),
        id=name,
        class_="target",
        aria_labelledby=f"{name}-title",
    )


def _progress(target: Target) -> Html | None:
    if isinstance(target.forge, Gap) or isinstance(target.forge.progress, Gap) or not target.forge.progress.running:
        return None
    ratio = target.forge.progress.ratio
    return tag("progress", f"{ratio:.0%}", value=round(ratio, 3), max="1", aria_label="the job's progress")
