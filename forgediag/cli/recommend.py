"""`forgediag recommend`: the best memory settings for what Forge has selected."""

from __future__ import annotations

import click

from forgediag.cli import NothingKnown, Settings
from forgediag.cli.looking import look, show
from forgediag.model import Gap


@click.command("recommend")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click's signature
    """The best forge_inference_memory for the checkpoint Forge has selected, and why."""
    report = look(settings.config())
    advice = next(iter(report.advice.values()))
    if isinstance(advice, Gap):
        raise NothingKnown(advice.reason)
    show(report, "recommendation" if as_json else "recommendation-text")
