"""`forgediag profile`: where a generation's time and memory go."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from forgediag import __version__
from forgediag.cli import Failure, NotDone, NothingKnown, Settings
from forgediag.cli.profile_live import Live
from forgediag.cli.profile_text import text
from forgediag.cli.run import sampler
from forgediag.config import Config, state_dir
from forgediag.daemon import Daemon, stop_on_signals
from forgediag.gpus import GpuSource
from forgediag.history import History, HistoryError
from forgediag.model import Gap, Gpu, Job, Ledger, Report
from forgediag.recording.document import Recorded, RecordingError, from_json, to_json
from forgediag.recording.page import html
from forgediag.recording.trace import trace

KINDS = (".html", ".json", ".png", ".trace")
MOST_LEDGERS = 2000
"""Moments at which the card is shared out that a recording keeps: 33 minutes at one a second, then every other."""


@click.command("profile")
@click.option("--jobs", type=click.IntRange(1, 1000), help="Record the next N generations (default 1).")
@click.option("--duration", type=click.FloatRange(0.1, 86400), metavar="SECONDS", help="Record for so long instead.")
@click.option("--last", type=click.IntRange(1, 1000), metavar="N", help="The last N of the history, nothing recorded.")
@click.option("--open", "source", type=click.Path(), metavar="FILE.json", help="A recording made before.")
@click.option("--compare", type=click.Path(), metavar="FILE.json", help="Beside a recording made before.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help=f"One of {' '.join(KINDS)}.")
@click.option("--live", is_flag=True, help="Show what happens while it is recorded.")
@click.option("--json", "as_json", is_flag=True, help="The recording as one JSON document on standard output.")
@click.pass_obj
def command(  # noqa: PLR0913 - one argument an option
    settings: Settings,
    *,
    jobs: int | None,
    duration: float | None,
    last: int | None,
    source: str | None,
    compare: str | None,
    output: str | None,
    live: bool,
    as_json: bool,
) -> None:
    """Where generations spend time and memory, phase by phase: recorded now, from the history, or from a file.

    Nothing is started or changed in Forge: begin to generate when it says that it records. Prompts and pictures are
    never read. Exit status: 0, 1 nothing was recorded, 3 a file or the history cannot be read.
    """
    if output is not None and Path(output).suffix.lower() not in KINDS:
        raise Failure(f"{output}: the name must end in one of {', '.join(KINDS)}")
    before = _read(compare) if compare is not None else None
    config = settings.config()
    if source is not None:
        recorded = _read(source)
    elif last is not None:
        recorded = _remembered(config, last)
    else:
        wanted = None if duration is not None and jobs is None else jobs or 1
        recorded = record(config, sampler(config), wanted, duration, Live(sys.stderr, live=live))
    if output is not None:
        write(recorded, before, Path(output))
    if as_json:
        click.echo(to_json(recorded), nl=False)
    elif output is None:
        click.echo(text(recorded, before), nl=False)
    else:
        click.echo(f"wrote {output}: {len(recorded.jobs)} generations")
    if not recorded.jobs:
        raise NotDone("no generation ended meanwhile, so there is none to show")


def _read(path: str) -> Recorded:
    try:
        return from_json(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, RecordingError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise NothingKnown(f"{path} cannot be read: {reason}") from error


def _remembered(config: Config, count: int) -> Recorded:
    """The last jobs of the history, with its coarse curve."""
    try:
        history = History(state_dir(config))
        jobs = history.jobs(config.targets[0].name if config.targets else None, count)[::-1]
    except HistoryError as error:
        raise NothingKnown(str(error)) from error
    return Recorded(tuple(jobs), forgediag=__version__)


def record(config: Config, gpus: GpuSource, jobs: int | None, seconds: float | None, live: Live) -> Recorded:
    """Watch until so many generations have ended or so many seconds have passed, or a signal ends it.

    Raises:
        NothingKnown: no Forge is configured.
    """
    if not config.targets:
        raise NothingKnown("no Forge is configured; name one with --forge URL")
    recording = _Recording(gpus, jobs, live)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(recording.run(replace(config, targets=config.targets[:1], hash_models=False), seconds))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return recording.made()


class _Recording:
    def __init__(self, gpus: GpuSource, jobs: int | None, live: Live) -> None:
        self._gpus, self._wanted, self._live = gpus, jobs, live
        self._started, self._clock = time.time(), time.perf_counter()
        self._jobs: tuple[Job, ...] = ()
        self._ledgers: list[Ledger] = []
        self._gpu: Gpu | None = None
        self._stop = asyncio.Event()

    async def run(self, config: Config, seconds: float | None) -> None:
        self._stop = asyncio.Event()
        stop_on_signals(self._stop)
        self._live.begin(self._wanted, seconds)
        daemon = Daemon(config, (), self._gpus, on_report=self._take)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._stop.set)
        await daemon.run(self._stop)
        self._live.end()

    def _take(self, report: Report) -> None:
        (target,) = report.snapshot.targets
        self._jobs = target.jobs
        if not isinstance(target.gpu, Gap):
            self._gpu = target.gpu
        if target.ledger is not None:
            self._ledgers.append(target.ledger)
            if len(self._ledgers) > MOST_LEDGERS:
                del self._ledgers[::2]
        self._live.show(target)
        if self._wanted is not None and len(self._jobs) >= self._wanted:
            self._stop.set()

    def made(self) -> Recorded:
        gpu = self._gpu
        points: tuple[tuple[float, int], ...] = ()
        if gpu is not None:
            now = time.perf_counter()
            curve = self._gpus.curve(gpu.info.uuid, self._clock, now)
            wall = self._started - self._clock
            points = tuple((at + wall, used) for at, used in curve.between(self._clock, now))
        return Recorded(
            self._jobs[: self._wanted],
            points,
            tuple(self._ledgers),
            gpu.info.name if gpu is not None else None,
            gpu.info.total if gpu is not None else None,
            __version__,
        )


def write(recorded: Recorded, before: Recorded | None, path: Path) -> None:
    """Write a recording in the form its name asks for.

    Raises:
        NotDone: it cannot be written, or there is nothing to draw.
    """
    kind = path.suffix.lower()
    if kind == ".png":
        from forgediag.cli.profile_png import png  # noqa: PLC0415 - Pillow is an extra

        content = png(recorded)
    else:
        made = {
            ".html": lambda: html(recorded, before),
            ".json": lambda: to_json(recorded),
            ".trace": lambda: trace(recorded),
        }
        content = made[kind]().encode()
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise NotDone(f"cannot write {path}: {error.strerror or error}") from error
