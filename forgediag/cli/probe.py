"""`forgediag probe`: whether Forge will load a checkpoint with its modules, and the exact error if not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from forgediag.cli import NothingKnown, Settings
from forgediag.forge.loading import File, predict
from forgediag.model import Gap, Prediction
from forgediag.sources.files import read_header


@click.command("probe")
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option("--module", "modules", multiple=True, metavar="FILE", help="A VAE or text encoder file, in the order "
              "Forge's VAE / Text Encoder box has them. May be given more than once.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, checkpoint: str, modules: tuple[str, ...], as_json: bool) -> None:  # noqa: ARG001, FBT001
    """Whether Forge will load CHECKPOINT with these modules, and the exact error if not.

    Read from the files' headers alone. Exit status: 0 it loads, 1 it will not, 3 a file cannot be read.
    """
    made = predict(opened(checkpoint), [opened(module) for module in modules])
    if isinstance(made, Gap):
        raise NothingKnown(made.reason)
    click.echo(json.dumps(document(made), indent=1) if as_json else text(made), nl=as_json)
    sys.exit(int(not made.loads))


def opened(path: str) -> File:
    """A file with its header, or what is wrong with it.

    Raises:
        NothingKnown: it cannot be read.
    """
    try:
        return File(str(Path(path).absolute()), read_header(path))
    except OSError as error:
        raise NothingKnown(f"{path} cannot be read: {error.strerror or error}") from error


def document(made: Prediction) -> dict[str, Any]:
    """The JSON document."""
    error = made.error
    return {
        "schema": "forgediag.probe/1",
        "verdict": "failure" if error else "warning" if made.gaps else "ok",
        "loads_ok": made.loads,
        "checkpoint": made.checkpoint,
        "family": made.family,
        "phase": made.phase,
        "error": None if error is None else {"type": error.type, "message": error.message, "cause": error.cause},
        "printed": list(made.printed),
        "renamed": list(made.renamed),
        "modules": [{"path": use.path, "fate": use.fate, "why": use.why} for use in made.modules],
        "findings": findings(made),
    }


def findings(made: Prediction) -> list[dict[str, Any]]:
    """The findings of the document: the cause of a failure, else what loads though it should not."""
    if made.error:
        return [_finding("failure", made.subject, made.cause, made.fix)]
    return [_finding("warning", made.checkpoint, gap, ()) for gap in made.gaps]


def _finding(severity: str, subject: str, message: str, fix: tuple[str, ...]) -> dict[str, Any]:
    return {
        "check": "model-will-load",
        "severity": severity,
        "subject": subject,
        "message": message,
        "evidence": {},
        "fix": list(fix),
    }


def text(made: Prediction) -> str:
    """The page for a person."""
    if made.error is None:
        lines = [f"Forge will load {made.checkpoint} ({made.family}).", *(f"  but {gap}" for gap in made.gaps)]
        return "\n".join(lines) + "\n"
    lines = [f"Forge will not load {made.checkpoint}: {made.cause}.", f"  it answers {made.error.type}:"]
    lines += [f"    {line}" for line in made.error.message.splitlines()]
    if made.error.cause:
        lines.append(f"  after {made.error.cause}")
    lines += [f"  it renames {path} to {path}.corrupted" for path in made.renamed]
    lines += [f"  {number}. {step}" for number, step in enumerate(made.fix, 1)]
    return "\n".join(lines) + "\n"
