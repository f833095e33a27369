"""`forgediag hash`: what a model file is known by, and whether it is what it should be."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from forgediag.cli import Failure, Settings
from forgediag.cli.hash_text import Hashed, document, text
from forgediag.config import state_dir
from forgediag.forge.claims import judge
from forgediag.model import Fault
from forgediag.packages import install
from forgediag.sources import sidecars
from forgediag.sources.batch import Found, identify_all
from forgediag.sources.headers import read_header
from forgediag.sources.identity import ALL
from forgediag.sources.records import JOURNAL, Records

_ENDINGS = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
_USUAL = frozenset({"sha256", "autov1", "autov3", "blake3"})


@click.command("hash")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--all", "every", is_flag=True, help="CRC32 and the fingerprint too.")
@click.option("--content", is_flag=True, help="Look at the numbers in the same read: NaN, Inf, zeros, fp16 overflow.")
@click.option("--full", is_flag=True, help="Read every file; trust no size and time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def command(
    settings: Settings, paths: tuple[str, ...], *, every: bool, content: bool, full: bool, as_json: bool
) -> None:
    """Every identity of model files as sites and Forge show them, against what is known on this machine.

    Each file is read once, behind everything else, and leaves the page cache as it was; one that lock, verify or the
    daemon have read, and that has not changed since, is not read again. Folders stand for the model files in
    them. Exit status: 0 fine, 1 a file is not what it should be or damaged, 3 one cannot be read.
    """
    if content and find_spec("numpy") is None:
        raise Failure(f"--content needs numpy; run {install('numpy')}")
    if find_spec("blake3") is None:
        click.echo(f"forgediag: BLAKE3 is left out: it needs a package; run {install('blake3')}", err=True)
    files = list(_files(paths))
    found: list[Hashed] = []
    failed = 0
    forge_dir = next((target.directory for target in settings.config().targets), None)
    wanted = ALL if every else _USUAL
    records = Records(state_dir(settings.config()) / JOURNAL)
    with (
        _progress(files) as told,
        closing(identify_all(files, records, wanted=wanted, content=content, full=full, progress=told)) as all_found,
    ):
        for path, each in all_found:
            if isinstance(each, OSError):
                failed += 1
                click.echo(f"forgediag: {path}: {_reason(each)}", err=True)
                continue
            found.append(_hashed(path, each, forge_dir))
            if not as_json:
                click.echo(text(found[-1]))
    if as_json:
        click.echo(json.dumps(document(found), indent=1))
    sys.exit(3 if failed else int(any(each.bad for each in found)))


def _files(paths: Sequence[str]) -> Iterator[str]:
    """The files named, and the model files in the folders named.

    Raises:
        Failure: a folder holds none, or cannot be listed.
    """
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - paths stay as they were given
            yield path
            continue
        inside = sorted(str(file) for file in Path(path).rglob("*") if file.name.lower().endswith(_ENDINGS))
        if not inside:
            raise Failure(f"{path} holds no model files ({' '.join(_ENDINGS)}); name a file or another folder")
        yield from inside


def _hashed(path: str, each: Found, forge_dir: str | None) -> Hashed:
    identity = each.identity
    try:
        header = read_header(path)
    except OSError:
        header = None
    if each.damage is not None and not isinstance(header, Fault):
        header = each.damage
    known = sidecars.claims(path, None if isinstance(header, Fault) else header, forge_dir)
    return Hashed(path, identity, header, judge(os.path.basename(path), identity, known), each.trusted)  # noqa: PTH119


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist (any more)"
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    return f"{error.strerror or error}; nothing is said of it"


@contextmanager
def _progress(files: Sequence[str]) -> Generator[Callable[[str, int], None], None, None]:
    """Tells a terminal how far all files are and how long it will take; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda path, done: None  # noqa: ARG005
        return
    total = sum(os.path.getsize(path) for path in files if os.path.isfile(path))  # noqa: PTH113, PTH202
    done: dict[str, int] = {}
    lock = threading.Lock()
    shown = time.monotonic()
    with click.progressbar(length=total, label="hashing", file=sys.stderr, show_eta=True) as bar:

        def tell(path: str, bytes_read: int) -> None:
            nonlocal shown
            with lock:
                done[path] = bytes_read
                if time.monotonic() - shown >= 0.2:
                    shown = time.monotonic()
                    bar.update(sum(done.values()) - bar.pos)

        yield tell
        bar.update(sum(done.values()) - bar.pos)
