"""`forgediag options history|diff|undo`: what the options were, who changed them, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from forgediag.cli import Failure, NotDone, NothingKnown, Settings
from forgediag.cli.recommend_text import shown, written, written_json
from forgediag.cli.writing import write_options
from forgediag.config import Config, state_dir
from forgediag.history import History, HistoryError
from forgediag.model import OptionChange

CAUSES: Mapping[str, str] = {
    "forgediag": "set by forgediag",
    "page": "the web page was opened",
    "restart": "Forge was restarted",
    "other": "another client, or the web page",
}

MANY = 10_000
"""Changes looked back at."""


@click.command("history")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--limit", type=click.IntRange(1, MANY), default=30, show_default=True, help="How many changes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def history(settings: Settings, keys: tuple[str, ...], limit: int, as_json: bool) -> None:  # noqa: FBT001
    """What changed when, from what to what, and how; the newest first. `forgediag run` keeps it."""
    changes = [change for change in _changes(settings.config()) if not keys or change.key in keys][:limit]
    if as_json:
        click.echo(json.dumps({"schema": "forgediag.history/1", "changes": [asdict(c) for c in changes]}, indent=1))
        return
    if not changes:
        click.echo("no option has changed since the history began")
    for change in changes:
        click.echo(
            f"{change.id:>5}  {_time(change.at)}  {change.key}  {shown(change.old)} -> {shown(change.new)}"
            f"  ({CAUSES[change.cause]})"
        )


@click.command("diff")
@click.option("--since", metavar="ID", type=int, help="From before this change on; default: all that is kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def diff(settings: Settings, since: int | None, as_json: bool) -> None:  # noqa: FBT001
    """Options that are not what they were, with both values."""
    changes = _since(_changes(settings.config()), since)
    different = {key: (old, new) for key, (old, new) in net(changes).items() if old != new}
    if as_json:
        rows = [{"key": key, "old": old, "new": new} for key, (old, new) in different.items()]
        click.echo(json.dumps({"schema": "forgediag.diff/1", "changes": rows}, indent=1))
        return
    if not different:
        click.echo("every option is what it was")
    for key, (old, new) in different.items():
        click.echo(f"{key}  {shown(old)} -> {shown(new)}")


@click.command("undo")
@click.argument("number", type=int, required=False, metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def undo(settings: Settings, number: int | None, as_json: bool) -> None:  # noqa: FBT001
    """Put back what the change ID replaced; without one, what forgediag itself set last.

    Exit status: 0, 1 not taken by Forge.
    """
    config = settings.config()
    changes = _changes(config)
    if number is None:
        last = next((change for change in changes if change.cause == "forgediag"), None)
        if last is None:
            raise NotDone("the history knows of nothing forgediag has set; name a change: forgediag options undo ID")
        chosen = [change for change in changes if change.at == last.at and change.cause == "forgediag"]
    else:
        chosen = [change for change in changes if change.id == number]
    if not chosen:
        raise Failure(f"there is no change {number}; see: forgediag options history")
    outcome = write_options(config, {change.key: change.old for change in chosen})
    if outcome.applied is None:
        raise NotDone(outcome.error)
    if as_json:
        click.echo(
            json.dumps({"schema": "forgediag.options/1", **written_json(outcome.applied, outcome.url)}, indent=1)
        )
        return
    for line in written(outcome.applied, outcome.url):
        click.echo(line)


def net(changes: Iterable[OptionChange]) -> Mapping[str, tuple[Any, Any]]:
    """What each option was before all these changes (newest first), and what it is after them."""
    both: dict[str, tuple[Any, Any]] = {}
    for change in changes:
        both[change.key] = change.old, both[change.key][1] if change.key in both else change.new
    return both


def _since(changes: Sequence[OptionChange], number: int | None) -> Sequence[OptionChange]:
    if number is None:
        return changes
    if not any(change.id == number for change in changes):
        raise Failure(f"there is no change {number}; see: forgediag options history")
    return [change for change in changes if change.id >= number]


def _changes(config: Config) -> list[OptionChange]:
    target = config.targets[0].name if config.targets else None
    try:
        return History(state_dir(config)).option_changes(target, MANY)
    except HistoryError as error:
        raise NothingKnown(str(error)) from error


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
