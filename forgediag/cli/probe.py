"""`forgediag probe`: whether Forge will load a checkpoint with its modules, and the exact error if not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from forgediag.cli import NothingKnown, Settings, probe_deep, probe_live
from forgediag.cli.probe_part import Part, joined
from forgediag.forge.autoencoder.place import find
from forgediag.forge.loading import File, predict
from forgediag.model import Gap, Header, Prediction
from forgediag.sources.headers import read_header


@click.command("probe")
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option("--module", "modules", multiple=True, metavar="FILE", help="A VAE or text encoder file, in the order "
              "Forge's VAE / Text Encoder box has them. May be given more than once.")  # fmt: skip
@click.option("--deep", is_flag=True, help="Also run the VAE on the CPU: NaN, one-coloured pictures, what leaves fp16.")
@click.option("--live", is_flag=True, help="Also ask Forge for a 64x64 picture with these files, and put all back.")
@click.option("--prove", is_flag=True, help="After --live, ask for one more with the selection put back.")
@click.option("--wait", default=600.0, metavar="S", help="Seconds that Forge may take for a picture. Default: 600.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, /, checkpoint: str, modules: tuple[str, ...], as_json: bool, **asked: Any) -> None:  # noqa: FBT001
    """Whether Forge will load CHECKPOINT with these modules, and the exact error if not.

    Read from the files' headers alone, unless --deep or --live. Exit status: 0 it loads, 1 it will not, 3 a file
    cannot be read.
    """
    files = [opened(path) for path in (checkpoint, *modules)]
    alone = asked["deep"] and not modules and is_vae(files[0])
    made = Gap("a VAE alone", expected=True) if alone else predict(files[0], files[1:])
    if isinstance(made, Gap) and not asked["deep"] and not asked["live"]:
        raise NothingKnown(made.reason)
    parts = [static(made)]
    if asked["deep"]:
        parts.append(probe_deep.part(files, made))
    if asked["live"]:
        parts.append(probe_live.part(settings.config(), files, made, prove=asked["prove"], wait=asked["wait"]))
    if as_json:
        click.echo(json.dumps(joined(parts), indent=1))
    else:
        click.echo("\n".join(line for part in parts for line in part.lines))
    sys.exit(int(any(part.failed for part in parts)))


def is_vae(file: File) -> bool:
    """Whether a file is a VAE and nothing else."""
    vae = find(file.found) if isinstance(file.found, Header) else None
    return vae is not None and not vae.prefix


def static(made: Prediction | Gap) -> Part:
    """What the headers tell."""
    if isinstance(made, Prediction):
        return Part(document(made), text(made).splitlines(), failed=not made.loads)
    if made.expected:
        return Part({}, [])
    unknown = _finding("unknown", "", made.reason, ())
    return Part({"loads_ok": None, "findings": [unknown]}, [f"What Forge will do is not known: {made.reason}."])


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
