"""`forgediag probe`: whether Forge will load a checkpoint with its modules, and the exact error if not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from forgediag.cli import Failure, NothingKnown, Settings, probe_deep, probe_live
from forgediag.cli.probe_names import Files, Names
from forgediag.cli.probe_part import Part, joined
from forgediag.forge.autoencoder.place import find
from forgediag.forge.families import LATENT_CHANNELS, Base
from forgediag.forge.loading import File, predict
from forgediag.forge.loading.alone import fits
from forgediag.model import Gap, Header, Prediction


@click.command("probe")
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--module", "modules", multiple=True, metavar="FILE", help="A VAE or text encoder file, in the order "
              "Forge's VAE / Text Encoder box has them. May be given more than once.")  # fmt: skip
@click.option("--for", "whole", metavar="CHECKPOINT|FAMILY", help="Take FILE as a module of this checkpoint, or of any "
              f"checkpoint of a family: {', '.join(LATENT_CHANNELS)}.")  # fmt: skip
@click.option("--no-modules", is_flag=True, help="Without the modules that the running Forge has set now.")
@click.option("--deep", is_flag=True, help="Also run the VAE on the CPU: NaN, one-coloured pictures, what leaves fp16.")
@click.option("--live", is_flag=True, help="Also ask Forge for a 64x64 picture with these files, and put all back.")
@click.option("--prove", is_flag=True, help="After --live, ask for one more with the selection put back.")
@click.option("--wait", default=600.0, metavar="S", help="Seconds that Forge may take for a picture. Default: 600.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, /, file: str | None, as_json: bool, **asked: Any) -> None:  # noqa: FBT001
    """Whether Forge will load FILE, a checkpoint, with these modules, and the exact error if not.

    Read from the files' headers alone, unless --deep or --live. Files are paths, or names that a running Forge lists.
    Without FILE: what it has selected. Without --module: with those it has set now, for they stay when the checkpoint
    changes. Exit status: 0 it loads, 1 it will not, 3 a file cannot be read.
    """
    config = settings.config()
    files, made = predicted(Names(config), file, asked)
    if isinstance(made, Gap) and not asked["deep"] and not asked["live"]:
        raise NothingKnown(made.reason)
    parts = [named(files), static(made)]
    if asked["deep"]:
        parts.append(probe_deep.part(files.all, made))
    if asked["live"]:
        if files.checkpoint is None:
            raise Failure("--live wants a checkpoint: give it as FILE, or its name with --for")
        parts.append(probe_live.part(config, files.all, made, prove=asked["prove"], wait=asked["wait"]))
    if as_json:
        click.echo(json.dumps(joined(parts), indent=1))
    else:
        click.echo("\n".join(line for part in parts for line in part.lines))
    sys.exit(int(any(part.failed for part in parts)))


def predicted(names: Names, file: str | None, asked: Mapping[str, Any]) -> tuple[Files, Prediction | Gap]:
    """The files asked about, and what Forge will make of them.

    Raises:
        Failure: --for without a file. NothingKnown: a file cannot be read.
    """
    modules, whole = asked["modules"], asked["whole"]
    if whole is not None:
        if file is None:
            raise Failure("--for wants the FILE that is to fit")
        base: Base | None = next((known for known in LATENT_CHANNELS if str(known) == whole), None)
        files = names.resolve(None if base else whole, (file, *modules), lone=base is not None)
        return files, fits(base, files.modules) if base else _play(files)
    if asked["deep"] and file is not None and not modules and is_vae(names.checkpoint(file)):
        return Files(names.checkpoint(file)), Gap("a VAE alone", expected=True)
    files = names.resolve(file, modules, kept=not asked["no_modules"])
    return files, _play(files)


def _play(files: Files) -> Prediction | Gap:
    assert files.checkpoint is not None  # noqa: S101 - resolved to one, or not known at all
    return predict(files.checkpoint, files.modules)


def named(files: Files) -> Part:
    """What was assumed of the files, and names that Forge drops."""
    findings = [_finding("warning", name, why, ("Give the file's whole name.",)) for name, why in files.dropped]
    lines = [*files.assumed, *(f"{why}." for _, why in files.dropped)]
    return Part({"assumed": list(files.assumed), "findings": findings}, [f"({line})" for line in lines])


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
        whole = made.checkpoint if made.checkpoint.endswith(f" {made.family}") else f"{made.checkpoint} ({made.family})"
        lines = [f"Forge will load {whole}.", *(f"  but {gap}" for gap in made.gaps)]
        return "\n".join(lines) + "\n"
    lines = [f"Forge will not load {made.checkpoint}: {made.cause}.", f"  it answers {made.error.type}:"]
    lines += [f"    {line}" for line in made.error.message.splitlines()]
    if made.error.cause:
        lines.append(f"  after {made.error.cause}")
    lines += [f"  it renames {path} to {path}.corrupted" for path in made.renamed]
    lines += [f"  {number}. {step}" for number, step in enumerate(made.fix, 1)]
    return "\n".join(lines) + "\n"
