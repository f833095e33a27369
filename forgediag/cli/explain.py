"""`forgediag explain`: causes and fixes for a console log or an API's error."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator

import click

from forgediag.cli import Failure
from forgediag.cli.explain_text import document, text
from forgediag.explain import Explanation, explain
from forgediag.explain import body as api
from forgediag.sources import console_file


@click.command("explain")
@click.argument("file", metavar="[FILE|-]", required=False)
@click.option("--journal", metavar="UNIT", help="Read the journal of this systemd unit instead of a file.")
@click.option("--wait", default=console_file.PATIENCE, show_default=True, help="Seconds a pipe is read for at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(file: str | None, journal: str | None, wait: float, as_json: bool) -> None:  # noqa: FBT001 - click's signature
    """Causes and fixes for Forge's console log, or for the body of an API's error.

    FILE is a log or a JSON body; - or nothing reads standard input. The root cause comes first, what only follows
    from it is named as such, and the newest trouble stands before older ones.

    Exit status: 0 explained, or nothing wrong found; 1 an error that is not known.
    """
    if file is not None and journal is not None:
        raise Failure("--journal reads a unit's journal and FILE a file: give one of them")
    if file is None and journal is None and _at_terminal():
        raise Failure("nothing to explain: give a log file, pipe one in, or use --journal UNIT")
    name = journal or ("standard input" if file in {None, "-"} else str(file))
    try:
        pieces = console_file.journal(journal) if journal else console_file.blocks(file or "-", sys.stdin.buffer, wait)
        explanation = _explain(console_file.decoded(pieces, name), name)
    except console_file.ConsoleFileError as error:
        raise Failure(str(error)) from None
    click.echo(json.dumps(document(explanation), indent=1, ensure_ascii=False) if as_json else text(explanation))
    sys.exit(0 if explanation.known or not explanation.troubles else 1)


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _explain(texts: Iterator[str], name: str) -> Explanation:
    first = next(texts, "")
    if not api.looks_like_body(first):
        return explain(console_file.lines(itertools.chain((first,), texts)))
    whole = first
    for piece in texts:
        whole += piece
        if len(whole) > api.LONGEST:
            return explain(console_file.lines(itertools.chain((whole,), texts)))
    try:
        return explain(api.lines(whole))
    except api.BodyError as error:
        explanation = explain(whole.split("\n"))
        if not explanation.troubles:
            raise Failure(f"{name} is {error}; and as a log there is nothing in it to explain") from None
        return explanation
