"""What `forgediag recommend` does: the question put together, answered, drawn, told, applied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from forgediag.cli import Failure, NotDone, NothingKnown, Settings
from forgediag.cli.asking import Case, for_file, for_forge, request_for, speed_for
from forgediag.cli.curve import svg, terminal
from forgediag.cli.glyphs import glyphs
from forgediag.cli.here import NO_FORGE
from forgediag.cli.looking import look, rendered
from forgediag.cli.planning import Asked
from forgediag.cli.recommend_text import compared, comparison, fits, written, written_json
from forgediag.cli.writing import Written, write_advice
from forgediag.config import Config
from forgediag.model import Advice, Gap, Report, Snapshot
from forgediag.plan.compare import Variant, compare
from forgediag.plan.recommend import recommend
from forgediag.plan.request import RefusedError


@dataclass(frozen=True, slots=True)
class Found:
    """Everything found out: the case, the report its advice stands in, and the variants compared."""

    case: Case
    advice: Advice
    report: Report
    variants: tuple[Variant, ...] = ()


def act(
    settings: Settings,
    checkpoint: str | None,
    asked: Asked,
    *,
    as_json: bool,
    side_by_side: bool,
    output: str | None,
    applying: bool,
) -> None:
    """The command.

    Raises:
        Failure: an option cannot be used. NotDone: Forge has not taken it, or there is nothing to advise.
        NothingKnown: nothing could be read.
    """
    if output is not None and not output.lower().endswith(".svg"):
        raise Failure(f"{output}: the picture is written as SVG; give a name that ends in .svg")
    config = settings.config()
    try:
        found = _find(checkpoint, asked, config, side_by_side=side_by_side)
    except NothingKnown as error:
        raise NotDone(f"{error.message}; nothing was written") if applying else error from error
    if output is not None:
        _draw(found.advice, Path(output))
    outcome = _write(found, config) if applying else None
    click.echo(_json(found, outcome) if as_json else _text(found, outcome), nl=False)
    if outcome is not None and outcome.applied is None:
        raise NotDone(outcome.error)


def _find(checkpoint: str | None, asked: Asked, config: Config, *, side_by_side: bool) -> Found:
    if checkpoint is None:
        if not config.targets:
            raise NothingKnown(NO_FORGE.reason)
        report = look(config)
        target = report.snapshot.targets[0]
        name, case = target.name, for_forge(target, report.snapshot.host, asked)
    else:
        unread = Gap("not read: a file was named", expected=True)
        name, case = "file", for_file(checkpoint, asked, config)
        report = Report(Snapshot(0.0, (), unread, unread), (), (), {})
    request, question = request_for(case.question), case.question
    try:
        speed = speed_for(request, asked, question.name, config)
        advice = recommend(request, speed=speed, fork=question.fork, current=question.settings)
        if isinstance(advice, Gap):
            raise NotDone(f"{question.name}: {advice.reason}")
        variants = compare(request, speed=speed, fork=question.fork) if side_by_side else ()
    except RefusedError as refusal:
        raise Failure(str(refusal)) from refusal
    return Found(case, advice, replace(report, advice={**report.advice, name: advice}), variants)


def _draw(advice: Advice, path: Path) -> None:
    picture = svg(advice)
    if picture is None:
        raise NotDone(f"{path}: no speed is known, so there is no curve")
    try:
        path.write_text(picture, "utf-8")
    except OSError as error:
        raise NotDone(f"cannot write {path}: {error.strerror or error}") from error


def _write(found: Found, config: Config) -> Written:
    if not fits(found.advice):
        return Written("", None, "no setting fits this picture on this card, so nothing was written")
    return write_advice(found.case.forge, config, found.advice)


def _text(found: Found, outcome: Written | None) -> str:
    lines = [rendered(found.report, "recommendation-text").rstrip("\n")]
    lines += [f"  assumed    {note}" for note in found.case.assumed]
    lines += ["", *terminal(found.advice, glyphs())]
    if found.variants:
        lines += ["", *comparison(found.variants)]
    if outcome is not None and outcome.applied is not None:
        lines += ["", *written(outcome.applied, outcome.url)]
    return "\n".join(lines) + "\n"


def _json(found: Found, outcome: Written | None) -> str:
    document: dict[str, Any] = json.loads(rendered(found.report, "recommendation"))
    document["assumed"] = list(found.case.assumed)
    if found.variants:
        document["compare"] = compared(found.variants)
    if outcome is not None:
        document["applied"] = _outcome(outcome)
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _outcome(outcome: Written) -> Mapping[str, Any]:
    if outcome.applied is None:
        return {"error": outcome.error}
    return written_json(outcome.applied, outcome.url)
