"""`forgediag recommend`: the best memory settings, for a file or for what Forge has selected."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from forgediag.cli import Settings
from forgediag.cli.planning import Asked, planning


@click.command("recommend")
@click.argument("checkpoint", required=False, metavar="[CHECKPOINT]")
@planning
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--compare", "side_by_side", is_flag=True, help="Also the other storage types of this model.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE.svg", help="A picture of the curve.")
@click.option("--apply", "applying", is_flag=True, help="Set it in the running Forge, if that is idle.")
@click.pass_obj
def command(settings: Settings, /, checkpoint: str | None, asked: Asked, **how: Any) -> None:
    """The best forge_inference_memory and swap for CHECKPOINT, or for what Forge has selected, and why.

    Exit status: 0, 1 not taken by Forge or nothing to advise, 3 nothing could be read.
    """
    import_module("forgediag.cli.recommending").act(settings, checkpoint, asked, **how)  # a quarter second to import
