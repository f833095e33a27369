"""Is it all right, and if not, what is to be done? The verdict, and the findings with their fixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forgediag.model import Finding, Report, Severity
from forgediag_exporters.page.html import Html, tag
from forgediag_exporters.page.words import GLYPHS, anchored
from forgediag_exporters.text import WORDS

SHOWN = 20
"""Findings written out; who has more repairs these first."""

Private = Callable[[str], str]


def verdict(report: Report) -> Html:
    """The one sentence, said anew to a screen reader when it changes."""
    told = [item for item in report.findings if item.severity >= Severity.WARNING]
    count = f"{len(told)} thing{'s' * (len(told) != 1)} to look at." if told else None
    return tag(
        "div",
        tag("span", GLYPHS[report.verdict], class_="glyph", aria_hidden="true"),
        tag("h1", WORDS[report.verdict]),
        tag("p", count) if count else None,
        id="verdict",
        class_=f"verdict {report.verdict.label}",
        role="status",
        aria_live="polite",
    )


def findings(report: Report, private: Private) -> Html | None:
    """What is wrong, worst first; what could not be looked at is folded away below."""
    named = anchored(report.findings)
    told = [pair for pair in named if pair[1].severity >= Severity.WARNING]
    unknown = [pair for pair in named if pair[1].severity < Severity.WARNING]
    if not report.findings:
        return None
    several = len(report.snapshot.targets) > 1
    written = [_finding(*pair, private, first=pair is told[0], several=several) for pair in told[:SHOWN]]
    return tag(
        "section",
        tag("h2", "What to do", id="findings-title"),
        written or tag("p", "Nothing needs to be done."),
        tag("p", f"{len(told) - SHOWN} more: ", tag("a", "all findings", href="/api/v1/findings"))
        if len(told) > SHOWN
        else None,
        _unknown(unknown, private, several=several) if unknown else None,
        id="findings",
        aria_labelledby="findings-title",
    )


def _unknown(items: Sequence[tuple[str, Finding]], private: Private, *, several: bool) -> Html:
    count = f"{len(items)} thing{'s' * (len(items) != 1)} could not be looked at"
    return tag(
        "details",
        tag("summary", f"{GLYPHS[Severity.UNKNOWN]} {count}"),
        (_finding(*pair, private, first=False, several=several) for pair in items),
        id="unknown",
    )


def _finding(name: str, item: Finding, private: Private, *, first: bool, several: bool) -> Html:
    return tag(
        "article",
        tag(
            "h3",
            tag("span", f"{GLYPHS[item.severity]} {item.severity.label}", class_="badge"),
            " ",
            f"{item.target}: " if several else None,
            private(item.subject),
        ),
        tag("p", "Start here.", class_="start") if first else None,
        tag("p", private(item.message)),
        tag("ol", (tag("li", private(step)) for step in item.fix)) if item.fix else None,
        _evidence(item, private, name),
        id=name,
        class_=f"finding {item.severity.label}",
    )


def _evidence(item: Finding, private: Private, name: str) -> Html:
    rows = (
        (tag("dt", key.replace("_", " ")), tag("dd", tag("pre", private(_text(value)))))
        for key, value in item.evidence.items()
    )
    return tag(
        "details",
        tag("summary", "How one can tell", tag("span", f" about {private(item.subject)}", class_="unseen")),
        tag("dl", tag("dt", "check"), tag("dd", tag("code", item.check)), rows),
        id=f"{name}-evidence",
    )


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] - any JSON
    return str(value)
