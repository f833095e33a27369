"""`forgediag doctor`: every check once."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from forgediag.cli import Settings
from forgediag.cli.looking import look, show
from forgediag.model import Report, Severity

LEVELS = {severity.label: severity for severity in Severity if severity}


@click.command("doctor")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--fail-on", type=click.Choice(list(LEVELS)), default="failure", help="Exit 1 from this severity on.")
@click.option("--cure", is_flag=True, help="First cure what can be cured in Forge, each cure told before it acts.")
@click.pass_obj
def command(settings: Settings, paths: tuple[str, ...], as_json: bool, fail_on: str, cure: bool) -> None:  # noqa: FBT001
    """Every check once, findings worst first, each with its evidence and what to do.

    With PATH only the model files there are judged, without any Forge.

    Exit status: 0 fine, 1 findings at or above --fail-on, 3 nothing at all could be examined.
    """
    if paths:
        judging = import_module("forgediag.cli.files")
        report: Report = judging.judge_files(settings.config(), paths)
    else:
        if cure:
            curing = import_module("forgediag.cli.curing")  # only when it is asked for: it imports httpx
            curing.cure(settings.config())
        report = look(settings.config())
    show(report, "findings" if as_json else "text")
    sys.exit(status(report, LEVELS[fail_on]))


def status(report: Report, fail_on: Severity) -> int:
    """The exit status a report deserves."""
    if report.results and all(result.status is Severity.UNKNOWN for result in report.results):
        return 3
    return int(report.verdict >= fail_on)
