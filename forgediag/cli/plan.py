"""`forgediag plan`: what Forge's memory manager will do with a checkpoint."""

from __future__ import annotations

from importlib import import_module

import click

from forgediag.cli import Settings
from forgediag.cli.planning import Asked, planning


@click.command("plan")
@click.argument("checkpoint", metavar="CHECKPOINT")
@planning
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, /, checkpoint: str, asked: Asked, as_json: bool) -> None:  # noqa: FBT001
    """What Forge will load, swap and print for CHECKPOINT, whether it fits, and how long an image takes.

    Read from the files' headers alone: nothing is loaded, no GPU and no Forge are needed. Exit status: 0 it fits,
    1 it will not load or run out of memory, 3 a file cannot be read.
    """
    import_module("forgediag.cli.planned").act(settings, checkpoint, asked, as_json=as_json)  # a quarter second
