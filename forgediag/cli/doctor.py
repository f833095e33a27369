"""`forgediag doctor`: every check once."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from forgediag.cli import Settings
from forgediag.config import Config
from forgediag.model import Report, Severity

LEVELS = {severity.label: severity for severity in Severity if severity}


@click.command("doctor")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--report", metavar="FILE|-", help="Also write Markdown to paste into a GitHub issue, secrets removed.")
@click.option("--fail-on", type=click.Choice(list(LEVELS)), default="failure", help="Exit 1 from this severity on.")
@click.option("--cure", is_flag=True, help="First cure what can be cured in Forge, each cure told before it acts.")
@click.pass_obj
def command(
    settings: Settings,
    paths: tuple[str, ...],
    *,
    as_json: bool,
    report: str | None,
    fail_on: str,
    cure: bool,
) -> None:
    """Every check once, findings worst first, each with its evidence and what to do.

    With PATH only the model files there are judged, without any Forge.

    Exit status: 0 fine, 1 findings at or above --fail-on, 3 nothing at all could be examined.
    """
    found = _look(settings.config(), paths, cure=cure)
    from forgediag.cli.looking import show, write  # noqa: PLC0415 - after the first line, see _look

    if report == "-":
        show(found, "issue")
    else:
        show(found, "findings" if as_json else "text")
        if report is not None:
            write(found, "issue", report)
    sys.exit(status(found, LEVELS[fail_on]))


def _look(config: Config, paths: tuple[str, ...], *, cure: bool) -> Report:
    """The report, after a first line: what comes then takes two tenths of a second to import alone."""
    if paths:
        found: Report = import_module("forgediag.cli.files").judge_files(config, paths)
        return found
    click.echo("forgediag: looking at Forge, its files and this machine ...", err=True)
    if cure:
        import_module("forgediag.cli.curing").cure(config)
    looked: Report = import_module("forgediag.cli.looking").look(config)
    return looked


def status(report: Report, fail_on: Severity) -> int:
    """The exit status a report deserves."""
    if report.results and all(result.status is Severity.UNKNOWN for result in report.results):
        return 3
    return int(report.verdict >= fail_on)
