"""`forgediag options`: Forge's options."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import click

from forgediag.cli import NotDone, NothingKnown, Settings
from forgediag.config import Config
from forgediag.model import Forge, Gap, Options
from forgediag.sources.poll import ForgePoll

THAT_MATTER = (
    "sd_model_checkpoint",
    "forge_additional_modules",
    "forge_inference_memory",
    "forge_async_loading",
    "forge_pin_shared_memory",
    "forge_unet_storage_dtype",
    "forge_preset",
    "xl_GPU_MB",
    "flux_GPU_MB",
)
"""The options that decide which files are loaded and where, in the order a person wants to see them."""


@click.group("options")
def command() -> None:
    """Forge's options."""


@command.command("show")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "everything", is_flag=True, help="All of them, not only those about models and memory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def show(settings: Settings, keys: tuple[str, ...], everything: bool, as_json: bool) -> None:  # noqa: FBT001
    """Show the options a Forge has, or those named."""
    options = asyncio.run(_read(settings.config()))
    chosen = _choose(options, keys, everything=everything or as_json)
    if as_json:
        click.echo(json.dumps({"schema": "forgediag.options/1", "options": chosen, "broken": options.broken}, indent=1))
        return
    width = max(map(len, chosen), default=0)
    for key, value in chosen.items():
        click.echo(
            f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}{'  <- wrong type' * (key in options.broken)}"
        )


def _choose(options: Options, keys: tuple[str, ...], *, everything: bool) -> Mapping[str, Any]:
    if unknown := [key for key in keys if key not in options.values]:
        raise NotDone(f"this Forge has no option {unknown[0]!r}; see all with: forgediag options show --all")
    wanted = keys or (options.values if everything else [key for key in THAT_MATTER if key in options.values])
    return {key: options.values[key] for key in wanted}


async def _read(config: Config) -> Options:
    poll = ForgePoll(config.targets[0], config.pace)
    await poll.read_once()
    await poll.close()
    forge = poll.facts()
    options = forge.options if isinstance(forge, Forge) else forge
    if isinstance(options, Gap):
        raise NothingKnown(options.reason)
    return options
