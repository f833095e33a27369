"""`forgediag lint`: an API payload judged before it is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import click

from forgediag.cli import Failure, NothingKnown, Settings
from forgediag.cli.here import NO_FORGE
from forgediag.cli.lint_forge import knowledge
from forgediag.forge.payload import Kind, Knowledge, guess, lint
from forgediag.model import Finding, Gap, Severity

LARGEST = 64 * 1024 * 1024
"""Bytes read of a payload: one with several large pictures has some 30 MB."""


@click.command("lint")
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option("--txt2img", "kind", flag_value="txt2img", help="It goes to /sdapi/v1/txt2img.")
@click.option("--img2img", "kind", flag_value="img2img", help="It goes to /sdapi/v1/img2img.")
@click.option("--options", "kind", flag_value="options", help="It goes to /sdapi/v1/options.")
@click.option("--offline", is_flag=True, help="Ask no Forge: judge by the built-in knowledge alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, file: str, kind: Kind | None, offline: bool, as_json: bool) -> None:  # noqa: FBT001
    """Judge an API payload before it is sent: what this Forge will refuse, drop, or leave behind for others.

    Where a payload goes is told by its keys unless an option says it. Prompts and pictures are never shown.

    Exit status: 0 nothing to say, 1 findings, 2 no payload, 3 the file cannot be read.
    """
    values = _payload(file)
    kind = kind or guess(values)
    known, where = (Knowledge(), "the built-in knowledge") if offline else _knowledge(settings)
    findings = lint(values, kind, known)
    if as_json:
        click.echo(json.dumps(document(kind, findings), ensure_ascii=False, indent=1))
    else:
        for line in _lines(kind, where, findings):
            click.echo(line)
    sys.exit(int(bool(findings)))


def _knowledge(settings: Settings) -> tuple[Knowledge, str]:
    config = settings.config()
    target = config.targets[0] if config.targets else None
    found = NO_FORGE if target is None else knowledge(config)
    if isinstance(found, Gap):
        return Knowledge(), f"the built-in knowledge of Forge ({found.reason})"
    return found


def _payload(file: str) -> dict[str, Any]:
    """The JSON object in a file or on standard input.

    Raises:
        NothingKnown: it cannot be read.
        Failure: it is no JSON object.
    """
    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            text = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as stream:
                text = stream.read(LARGEST + 1)
    except OSError as error:
        raise NothingKnown(f"{name} cannot be read: {error.strerror or error}") from error
    if len(text) > LARGEST:
        raise Failure(f"{name} is larger than {LARGEST >> 20} MB: no payload")
    try:
        values: object = json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Failure(f"{name} is not text but binary (byte {error.start}): a payload is JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Failure(f"{name} is not JSON: {error.msg} ({where})" if text.strip() else f"{name} is empty") from error
    except (RecursionError, ValueError) as error:
        raise Failure(f"{name} is nested too deeply, or holds a number too long, to be a payload") from error
    if not isinstance(values, dict):
        raise Failure(f"{name} is JSON but no object: Forge answers 422 'Input should be a valid dictionary'")
    return cast("dict[str, Any]", values)


def document(kind: str, findings: tuple[Finding, ...]) -> dict[str, object]:
    """The findings as `forgediag.lint/1`."""
    worst = max((finding.severity for finding in findings), default=Severity.OK)
    return {
        "schema": "forgediag.lint/1",
        "payload": kind,
        "verdict": worst.label,
        "findings": [
            {
                "check": finding.check,
                "severity": finding.severity.label,
                "subject": finding.subject,
                "message": finding.message,
                "evidence": dict(finding.evidence),
                "fix": list(finding.fix),
            }
            for finding in findings
        ],
    }


def _lines(kind: str, where: str, findings: tuple[Finding, ...]) -> list[str]:
    lines = [f"{kind} payload, judged by {where}"]
    for finding in findings:
        lines += [f"{finding.severity.label.upper()}  {finding.subject}  [{finding.check}]", f"  {finding.message}"]
        lines += [f"  {number}. {step}" for number, step in enumerate(finding.fix, 1)]
    return lines if findings else [*lines, "Nothing to say: Forge will take it as it is."]
