"""`forgediag assets`: files for the systems around forgediag."""

from __future__ import annotations

from pathlib import Path

import click

from forgediag.cli import Failure, NotDone
from forgediag.plugins import assets


@click.command("assets")
@click.argument("kind")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--docs", metavar="URL", default="docs", help="Where docs/ can be read, for links. Default: docs.")
def command(kind: str, directory: Path, docs: str) -> None:
    """Write files of KIND below DIRECTORY: grafana, prometheus, systemd, windows, compose, kubernetes."""
    known = {asset.kind: asset for asset in assets()}
    if kind not in known:
        raise Failure(f"no assets {kind!r}; there are: {', '.join(sorted(known))}")
    for name, content in known[kind].files(docs).items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        except OSError as error:
            raise NotDone(f"cannot write {path}: {error.strerror or error}") from error
        click.echo(path)
