"""One look at everything, for the commands that report and end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from forgediag.cli import NotDone
from forgediag.cli.run import sampler
from forgediag.config import Config
from forgediag.daemon import Daemon
from forgediag.model import Report
from forgediag.plugins import checks, exporters


def look(config: Config) -> Report:
    """Read every source once, judge and advise. A source that fails is a gap in the report."""
    return asyncio.run(Daemon(config, checks(), sampler(config)).observe_once())


def show(report: Report, exporter: str) -> None:
    """Print a report through the exporter of that name.

    Raises:
        NotDone: no such exporter is installed.
    """
    click.echo(rendered(report, exporter), nl=False)


def write(report: Report, exporter: str, file: str) -> None:
    """Write a report to a file through the exporter of that name.

    Raises:
        NotDone: no such exporter is installed, or the file cannot be written.
    """
    text = rendered(report, exporter)
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise NotDone(f"{file} cannot be written: {error.strerror or error}") from error
    click.echo(f"forgediag: written to {file}", err=True)


def rendered(report: Report, exporter: str) -> str:
    """A report through the exporter of that name.

    Raises:
        NotDone: no such exporter is installed.
    """
    for item in exporters():
        if item.name == exporter:
            return item.render(report).decode()
    raise NotDone(f"no exporter {exporter!r} is installed; reinstall forgediag")
