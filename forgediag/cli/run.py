"""`forgediag run`: the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from forgediag.cli import Settings
from forgediag.cli.serving import Service, log, start_logging
from forgediag.cli.textfile import Textfile
from forgediag.config import Config
from forgediag.gpus import GpuSource
from forgediag.sources.sampler import Sampler


def sampler(config: Config) -> GpuSource:
    """The sampler of this machine's real GPUs."""
    rates = config.sampling
    return Sampler(idle_hz=rates.idle_hz, busy_hz=rates.busy_hz, windows=rates.windows)


@click.command("run")
@click.option("--listen", metavar="HOST:PORT", help="Where to serve. Default: 127.0.0.1:9836.")
@click.option("--web-config", metavar="FILE", help="TLS, users and headers, as Prometheus' exporters have them.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. Default: info.")
@click.option(
    "--textfile", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Metrics for node_exporter too."
)
@click.option("--otlp", metavar="URL", help="Push metrics there over OTLP/HTTP (extra otlp).")
@click.pass_obj
def command(settings: Settings, /, textfile: Path | None, otlp: str | None, **flags: str | None) -> None:
    """The daemon: poll Forge, sample GPU memory, check, recommend, export.

    SIGTERM or Ctrl-C ends it, SIGHUP re-reads the configuration.
    """

    def reread() -> Config:
        return settings.config(**flags)

    config = reread()
    start_logging(config.log_level)
    names = ", ".join(f"{target.name} ({target.url or 'the default addresses'})" for target in config.targets)

    def ready(url: str) -> None:
        log.info("watching %s; metrics at %s/metrics", names, url)

    told = [Textfile(textfile).write] if textfile else []
    if otlp is not None:
        from forgediag.cli.otlp import Otlp  # noqa: PLC0415 - an extra

        told.append(Otlp(otlp).take)
    asyncio.run(Service(config, sampler, told).run(reread, ready))
