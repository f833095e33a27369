"""`forgediag lock`: write down what each model file is."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import click

from forgediag.cli import Failure, NotDone, Settings
from forgediag.cli.reading import opened_lock, reader, reading_options
from forgediag.cli.shelves import given_folders
from forgediag.lockfile import SCHEMA, render
from forgediag.packages import install
from forgediag.sources.journal import replace
from forgediag.sources.locking import Outcome, lock_files
from forgediag.sources.patience import Hung
from forgediag.verify import findings


@click.command("lock")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("-o", "--output", metavar="FILE", default="forgediag.lock", help="Default: forgediag.lock.")
@click.option("--blake3", "with_blake3", is_flag=True, help="BLAKE3 too (needs the package blake3).")
@reading_options
@click.pass_obj
def command(
    settings: Settings,
    paths: tuple[str, ...],
    output: str,
    with_blake3: bool,  # noqa: FBT001 - click's signature
    full: bool,  # noqa: FBT001
    rate: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write down size, hashes, format and family of every model file below PATH (default: Forge's folders).

    Run again after a kill it goes on where it was. Exit status: 0 written, 1 a file is corrupted or
    damaged, 3 one is unreadable.
    """
    if with_blake3 and find_spec("blake3") is None:
        raise Failure(f"--blake3 needs a package; run {install('blake3')}")
    target = Path(os.path.abspath(output))  # noqa: PTH100 - links stay as they are
    places = given_folders(settings.config(), paths)
    wanted = frozenset({"sha256", "autov3"} | ({"blake3"} if with_blake3 else set[str]()))
    previous = opened_lock(str(target), must=False)
    try:
        with reader(settings, full=full, rate=rate, wanted=wanted) as files:
            outcome = lock_files(target.parent, places, previous, files)
        text = render(outcome.lock)
        if outcome.lock != previous or not target.exists():
            replace(target, text.encode())
    except Hung as error:
        raise NotDone(f"nothing was written: {error}; is a network disk gone?") from error
    except OSError as error:
        why = error.strerror or error
        raise NotDone(
            f"{output} cannot be written: {why}; it is as it was, and nothing needs to be read again"
        ) from error
    _show(outcome, output, as_json=as_json)
    states = {item.state for item in outcome.differences}
    sys.exit(1 if states & {"corrupted", "damaged"} else 3 if "unreadable" in states else 0)


def _show(outcome: Outcome, output: str, *, as_json: bool) -> None:
    counts = Counter(item.state for item in outcome.differences)
    if as_json:
        document = {
            "schema": SCHEMA,
            "file": output,
            "files": len(outcome.lock.files),
            "read": outcome.read,
            "trusted": outcome.trusted,
            "states": dict(counts),
            "differences": [
                {"path": item.path, "state": item.state, "message": item.message} for item in outcome.differences
            ],
        }
        click.echo(json.dumps(document, indent=1))
        return
    for item in findings(outcome.differences):
        click.echo(f"{item.evidence['state']:<10} {item.message}")
    click.echo(
        f"{output}: {len(outcome.lock.files)} files; {outcome.read} read, {outcome.trusted} known by size and times"
    )
