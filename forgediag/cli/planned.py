"""What `forgediag plan` does: the question put together, played through, told."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from forgediag.cli import Failure, NotDone, Settings
from forgediag.cli.asking import Broken, Case, for_file, request_for, speed_for
from forgediag.cli.glyphs import glyphs
from forgediag.cli.plan_text import text, verdict
from forgediag.cli.planning import Asked
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE, describe
from forgediag.model import Header
from forgediag.plan.document import document
from forgediag.plan.predict import Plan, plan
from forgediag.plan.request import RefusedError, Request


def act(settings: Settings, checkpoint: str, asked: Asked, *, as_json: bool) -> None:
    """The command.

    Raises:
        Failure: an option cannot be used. NotDone: it will not load. NothingKnown: a file cannot be read.
    """
    config = settings.config()
    case = for_file(checkpoint, asked, config)
    try:
        request = request_for(case.question)
    except Broken as broken:
        if as_json:
            click.echo(json.dumps(_broken(case, broken), indent=1))
        raise
    try:
        made = plan(request, speed_for(request, asked, case.question.name, config))
    except RefusedError as refusal:
        raise Failure(str(refusal)) from refusal
    if as_json:
        click.echo(json.dumps(_document(made, case), indent=1))
    elif not made.components.parts:
        raise NotDone(f"{request.name}: {verdict(made)}")
    else:
        click.echo(text(made, case.assumed, doubtful(request), glyphs()), nl=False)
    sys.exit(status(made))


def status(made: Plan) -> int:
    """The exit status a plan deserves."""
    return int(made.error is not None or bool(made.components.warnings) or not made.fits)


def doubtful(request: Request) -> list[str]:
    """A word on values Forge takes though they make no sense."""
    mb, total = request.settings.inference_memory_mb, request.card.total
    if mb < 0:
        return [f"Forge takes {mb:g} MB, but leaves no memory for computing: a mistake?"]
    if mb > total:
        return [f"Forge takes {mb:g} MB, more than the card has ({total:g} MB), and keeps no weights on it: a mistake?"]
    return []


def _document(made: Plan, case: Case) -> dict[str, Any]:
    settings, card = made.request.settings, made.request.card
    found = document(made, sources(made.request, (case.question.checkpoint, *case.question.modules)))
    return {
        **found,
        "warnings": [*found["warnings"], *doubtful(made.request)],
        "settings": {
            "forge_inference_memory": settings.inference_memory_mb,
            "gpu_weights_mb": int(card.total) - settings.inference_memory_mb,
            "forge_async_loading": settings.method,
            "forge_pin_shared_memory": settings.location,
        },
        "assumed": list(case.assumed),
    }


def _broken(case: Case, broken: Broken) -> dict[str, Any]:
    """The document for files Forge cannot read: what it raises, with the first exception as cause.

    Observed on Forge dfdcbab: whatever is wrong with a file, the API's answer is the same ValueError.
    """
    empty = Header("unknown", {})
    modules = (empty,) * len(case.question.modules)
    made = plan(Request(empty, modules, case.question.card, case.question.settings))
    error = {"type": "ValueError", "message": "Failed to recognize model type!", "cause": broken.fault.forge_says}
    return {**_document(made, case), "error": error, "warnings": [broken.message]}


def sources(request: Request, paths: Sequence[str]) -> dict[str, str]:
    """The file each part comes from, by the class name Forge prints: a module's part replaces the checkpoint's."""
    found: dict[str, str] = dict.fromkeys((TEXT_ENCODER, UNET, VAE), paths[0])
    texts: list[str] = []
    for header, path in zip(request.modules, paths[1:], strict=True):
        parts = describe(header)[2]
        if VAE in parts:
            found[VAE] = path
        if TEXT_ENCODER in parts:
            texts.append(path)
    return {**found, TEXT_ENCODER: ", ".join(texts) or paths[0]}
