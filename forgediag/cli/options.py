"""`forgediag options`: Forge's options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from forgediag.cli import Failure, NotDone, NothingKnown, Settings
from forgediag.cli.here import running_forge
from forgediag.cli.option_history import diff, history, undo
from forgediag.cli.recommend_text import written, written_json
from forgediag.cli.writing import write_options
from forgediag.config import Config
from forgediag.model import Forge, Gap, Options

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
    options = _options(settings.config())
    chosen = _choose(options, keys, everything=everything or as_json)
    if as_json:
        click.echo(json.dumps({"schema": "forgediag.options/1", "options": chosen, "broken": options.broken}, indent=1))
        return
    width = max(map(len, chosen), default=0)
    for key, value in chosen.items():
        click.echo(
            f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}{'  <- wrong type' * (key in options.broken)}"
        )


@command.command("set")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def set_(settings: Settings, pairs: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click's signature
    """Set options in one write, if Forge is idle, and read them back. A VALUE is JSON, or else text as it stands.

    Exit status: 0, 1 not taken by Forge.
    """
    config = settings.config()
    try:
        options = _options(config)
    except NothingKnown as error:
        raise NotDone(f"{error.message}; nothing was written") from error
    outcome = write_options(config, _pairs(pairs, options))
    if outcome.applied is None:
        raise NotDone(outcome.error)
    if as_json:
        document = {"schema": "forgediag.options/1", **written_json(outcome.applied, outcome.url)}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for line in written(outcome.applied, outcome.url):
        click.echo(line)


command.add_command(history)
command.add_command(diff)
command.add_command(undo)


def _pairs(pairs: tuple[str, ...], options: Options) -> dict[str, Any]:
    """Keys and values; for an option that is text now the value is text, whatever it looks like.

    Raises:
        Failure: one has no "=".
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise Failure(f"{pair!r} is not KEY=VALUE")
        found[key] = text if isinstance(options.values.get(key), str) else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _choose(options: Options, keys: tuple[str, ...], *, everything: bool) -> Mapping[str, Any]:
    if unknown := [key for key in keys if key not in options.values]:
        raise NotDone(f"this Forge has no option {unknown[0]!r}; see all with: forgediag options show --all")
    wanted = keys or (options.values if everything else [key for key in THAT_MATTER if key in options.values])
    return {key: options.values[key] for key in wanted}


def _options(config: Config) -> Options:
    forge = running_forge(config)
    options = forge.options if isinstance(forge, Forge) else forge
    if isinstance(options, Gap):
        raise NothingKnown(options.reason)
    return options
