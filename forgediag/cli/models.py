"""`forgediag models`: the model files in Forge's folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from forgediag.cli import Settings
from forgediag.cli.shelves import given_folders
from forgediag.config import state_dir
from forgediag.model import MB, ModelFile
from forgediag.sources.examined import Shelf, examine_all
from forgediag.sources.records import JOURNAL, Records

SCHEMA = "forgediag.models/1"


@click.command("models")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(settings: Settings, paths: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click's signature
    """The model files below PATH (default: Forge's folders): family, dtype, size, health, who is the same file.

    Only headers are read. Exit status: 0, 1 a file is damaged, 3 nothing was found.
    """
    config = settings.config()
    shelf = examine_all(given_folders(config, paths), Records(state_dir(config) / JOURNAL))
    click.echo(json.dumps(_document(shelf), indent=1) if as_json else "\n".join(_lines(shelf)))
    sys.exit(3 if not shelf.files else int(any(file.fault for file in shelf.files)))


def _document(shelf: Shelf) -> Mapping[str, Any]:
    return {
        "schema": SCHEMA,
        "files": [
            {
                "path": file.path,
                "role": file.role,
                "bytes": file.size,
                "format": file.format,
                "family": file.family,
                "dtype": file.dtype,
                "fault": None if file.fault is None else {"id": file.fault.id, "message": file.fault.message},
                "unlisted": file.unlisted,
                "same_file": list(shelf.links.get(file.path, ())),
                "same_contents": list(shelf.copies.get(file.path, ())),
                "leads_to": shelf.outside.get(file.path),
                "sha256": shelf.sha256.get(file.path),
            }
            for file in shelf.files
        ],
        "skipped": dict(shelf.skipped),
    }


def _lines(shelf: Shelf) -> Iterator[str]:
    role = ""
    for file in sorted(shelf.files, key=lambda file: (file.role, file.path)):
        if file.role != role:
            role = file.role
            yield role
        yield f"  {_size(file.size):>9}  {file.family:<16} {file.dtype or '-':<10} {file.path}"
        for note in _notes(shelf, file):
            yield f"{'':13}{note}"
    for path, why in shelf.skipped.items():
        yield f"left out: {path} {why}"
    total = sum(file.size for file in shelf.files)
    bad = sum(file.fault is not None for file in shelf.files)
    yield f"{len(shelf.files)} files, {_size(total)}, {bad or 'none'} damaged"


def _notes(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    if file.fault is not None:
        yield f"damaged: {file.fault.message}"
    if file.unlisted is not None:
        yield f"not in Forge's list: {file.unlisted}"
    if others := shelf.links.get(file.path):
        yield f"the same file as {', '.join(others)}"
    if others := shelf.copies.get(file.path):
        yield f"the same contents as {', '.join(others)}"
    if (target := shelf.outside.get(file.path)) is not None:
        yield f"lies outside of these folders: {target}"


def _size(size: int) -> str:
    return f"{size / (1024 * MB):.1f} GiB" if size >= 1024 * MB else f"{size / MB:.1f} MiB"
