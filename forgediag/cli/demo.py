"""`forgediag demo`: the daemon against a simulated Forge and GPU, with a lively day of both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from forgediag.cli import Settings
from forgediag.cli.serving import Service, start_logging
from forgediag.config import Config, Paces, TargetConfig
from forgediag.gpus import GpuSource
from forgediag.sources.sampler import Sampler
from forgediag.testing.forge import SimulatedForge, SystemClock
from forgediag.testing.gpu import SimulatedGpu
from forgediag.testing.models import write_install, write_models
from forgediag.testing.nvml import SimulatedNvml
from forgediag.testing.timeline import connect, play, setup_on

MESSAGE = """\
A simulated Forge ({forge}) and a simulated GPU live through a day of three minutes.

  metrics          {url}/metrics
  what is wrong    {url}/
  findings         {url}/api/v1/findings
  everything       {url}/api/v1/snapshot
  recommendation   {url}/api/v1/recommendation

Beside it, try:  forgediag --forge {forge} doctor
Ctrl-C ends it."""


@click.command("demo")
@click.option("--listen", metavar="HOST:PORT", help="Where to serve. Default: 127.0.0.1:9836.")
@click.option("--web-config", metavar="FILE", help="TLS, users and headers, as Prometheus' exporters have them.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. Default: info.")
@click.option("--speed", type=click.FloatRange(0.1, 20), default=1.0, help="How many times as fast. Default: 1.")
@click.pass_obj
def command(settings: Settings, /, speed: float, **flags: str | None) -> None:
    """The daemon against a simulated Forge and GPU: no hardware, no Forge, nothing to configure."""
    config = settings.config(**flags)
    start_logging(config.log_level)
    with tempfile.TemporaryDirectory(prefix="forgediag-demo-") as folder:
        asyncio.run(_demo(config, Path(folder), speed))


async def _demo(config: Config, folder: Path, speed: float) -> None:
    write_models(folder)
    write_install(folder)
    log = str(folder / "forge.log")
    gpu = SimulatedGpu(forge_pid=os.getpid())
    async with SimulatedForge(replace(setup_on(gpu), root=str(folder), log=log), clock=SystemClock(speed)) as forge:
        connect(forge, gpu)
        target = TargetConfig(name="demo", url=forge.url, directory=str(folder), log=log)
        pace = Paces(progress=0.5, memory=1, memory_busy=0.5, options=2, models=5, files=5)
        config = replace(config, targets=(target,), pace=pace, state_dir=str(folder))

        def gpus(wanted: Config) -> GpuSource:
            rates = wanted.sampling
            library = SimulatedNvml(gpu)
            return Sampler(library.load, idle_hz=rates.idle_hz, busy_hz=rates.busy_hz, windows=rates.windows)

        def ready(url: str) -> None:
            click.echo(MESSAGE.format(url=url, forge=forge.url))

        day = asyncio.ensure_future(play(forge, gpu=gpu))
        try:
            await Service(config, gpus).run(None, ready)
        finally:
            day.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await day
