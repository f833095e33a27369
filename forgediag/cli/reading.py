"""What the commands that read whole files share: the pace, the wait for a busy Forge, the progress, the records."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from forgediag.cli import Failure, NothingKnown, Settings
from forgediag.cli.here import refuses
from forgediag.cli.quantities import megabytes
from forgediag.config import DEFAULT_URLS, Config, state_dir
from forgediag.lockfile import Lock, LockError
from forgediag.model import MB, Progress
from forgediag.sources.library import Manner, Reader
from forgediag.sources.lock_file import read_lock
from forgediag.sources.records import JOURNAL, Records

F = TypeVar("F", bound=Callable[..., object])

_BUSY_EVERY, _DOWN_EVERY = 2.0, 30.0


def reading_options(command: F) -> F:
    """The options of a command that reads whole files."""
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")(command)
    command = click.option("--rate", metavar="SIZE", help="Read at most this much a second, for example 200MB.")(
        command
    )
    return click.option("--full", is_flag=True, help="Read every file; trust no size and time.")(command)


@contextmanager
def reader(
    settings: Settings, *, full: bool, rate: str | None, wanted: frozenset[str] = frozenset({"sha256", "autov3"})
) -> Generator[Reader, None, None]:
    """A reader of files: shows the progress on a terminal."""
    config = settings.config()
    with _Shown() as shown:
        most = None if rate is None else megabytes("--rate", rate) * MB
        if most is not None and most <= 0:
            raise Failure(f"--rate {rate} is no speed; write for example 200MB")
        manner = Manner(rate=most, busy=_Busy(config), starts=shown.starts, told=shown.bytes_read, wanted=wanted)
        yield Reader(Records(state_dir(config) / JOURNAL), manner, full=full)


def opened_lock(path: str, *, must: bool) -> Lock:
    """The lock file at a path; an empty one where there is none and none must be.

    Raises:
        Failure: it is no lock file. NothingKnown: it cannot be read.
    """
    try:
        return read_lock(Path(path))
    except LockError as error:
        raise Failure(
            f"{path} {error}; restore it from version control, or delete it and run forgediag lock"
        ) from error
    except FileNotFoundError as error:
        if not must:
            return Lock(())
        raise NothingKnown(f"there is no lock file {path}: run forgediag lock, or name one with --lock") from error
    except OSError as error:
        raise NothingKnown(f"the lock file {path} cannot be read: {error.strerror or error}") from error


class _Busy:
    """Whether the configured Forge generates, asked at most every two seconds, and rarely where none answers."""

    def __init__(self, config: Config) -> None:
        self._target = config.targets[0] if config.targets else None
        self._ask_at = float("-inf")
        self._running = False

    def __call__(self) -> bool:
        if self._target is not None and time.monotonic() >= self._ask_at:
            urls = (self._target.url,) if self._target.url else DEFAULT_URLS
            url = next((url for url in urls if not refuses(url)), None)
            self._running = url is not None and self._generates(url)
            self._ask_at = time.monotonic() + (_DOWN_EVERY if url is None else _BUSY_EVERY)
        return self._running

    def _generates(self, url: str) -> bool:
        from forgediag.sources.forge import ENDPOINTS, ForgeClient  # noqa: PLC0415 - HTTP takes a tenth of a second

        target = self._target
        if target is None:
            return False

        async def ask() -> object:
            client = ForgeClient(url, target.credentials(), timeout=min(target.timeout, 2.0))
            try:
                return await client.read(ENDPOINTS["progress"])
            finally:
                await client.close()

        progress = asyncio.run(ask())
        return isinstance(progress, Progress) and progress.running


class _Shown:
    """One line on a terminal: how far, which file, how long yet. Nothing anywhere else."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._started = time.monotonic()
        self._at = 0.0
        self._total = self._read = 0
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_: object) -> None:
        if self._on:
            click.echo("\r\x1b[K", nl=False, err=True)

    def starts(self, total: int) -> None:
        """How many bytes are to be read."""
        self._total, self._started = total, time.monotonic()

    def bytes_read(self, path: str, done: int) -> None:
        """How much of a file was read; from any thread."""
        with self._lock:
            self._read += max(0, done - self._done.get(path, 0))
            self._done[path] = max(done, self._done.get(path, 0))
            if self._on and (now := time.monotonic()) - self._at >= 0.2:
                self._at = now
                self._show(path, now)

    def _show(self, path: str, now: float) -> None:
        left = max(0, self._total - self._read)
        speed = self._read / (now - self._started)
        eta = f", {left / speed:,.0f} s left" if speed else ""
        share = min(1.0, self._read / self._total) if self._total else 1.0
        line = f"{share:4.0%} {speed / MB:,.0f} MB/s{eta}  {path[-60:]}"
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)
