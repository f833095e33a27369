"""Running the daemon and its server until a signal ends them: shared by `run` and `demo`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence

from forgediag.cli import Failure, NotDone
from forgediag.cli.systemd import Supervisor
from forgediag.config import Config
from forgediag.daemon import Daemon, stop_on_signals
from forgediag.gpus import GpuSource
from forgediag.guard import Guard, Hosts
from forgediag.http import Server, serve
from forgediag.model import Report
from forgediag.multi import Probes
from forgediag.plugins import Installed, checks, exporters, files, installed
from forgediag.server import Site
from forgediag.sources.apart import ApartError, answer
from forgediag.sources.host import LOOPBACK
from forgediag.web_config import WebConfig, WebConfigError, WebConfigFile

log = logging.getLogger("forgediag")

Tell = Callable[[Report], object]

RESTART = 5.0
"""Seconds before a daemon that ended by itself is started again: the log says why it did."""


def start_logging(level: str) -> None:
    """Log to standard error, one line an event; httpx's own line a request is left out."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)


def exposure(host: str, web: WebConfig) -> Iterator[str]:
    """What who else can see, one warning each; nothing while only this machine is listened to."""
    if host in LOOPBACK:
        return
    known = bool(web.users) or (web.tls is not None and web.tls.verify_mode is ssl.CERT_REQUIRED)
    if not known:
        yield (
            f"listening on {host}: everybody who reaches this machine can read what forgediag knows; "
            "ask for passwords or certificates with --web-config FILE"
        )
    if web.users and web.tls is None:
        yield f"listening on {host} without TLS: passwords cross the network readable; set tls_server_config"


def _web_config(path: str | None) -> Callable[[], WebConfig]:
    if path is None:
        return WebConfig
    try:
        return WebConfigFile(path).current
    except WebConfigError as error:
        raise Failure(str(error)) from error


def _installed() -> Installed:
    """What plugins there are, found by another process where one can be had."""
    try:
        return answer(installed)
    except ApartError:
        return installed()


class Service:
    """The server with the daemon behind it; a re-read configuration replaces the daemon, not the server."""

    def __init__(self, config: Config, gpus: Callable[[Config], GpuSource], told: Sequence[Tell] = ()) -> None:
        """Prepare; nothing is read or listened on.

        Args:
            config: what to watch and how often.
            gpus: makes the sampler.
            told: who is told of each new report, beside the server and systemd.
        """
        self._config = config
        self._gpus = gpus
        self._daemon: Daemon | None = None
        self._installed = _installed()
        self._site = Site(self.report, exporters(self._installed), files(self._installed))
        self._supervisor = Supervisor()
        self._told = told
        self._site.pages.update(Probes(lambda: self._daemon, self._site.metrics, config.probes_at_once).pages)
        self._web = _web_config(config.web_config)

    def report(self) -> Report | None:
        """The newest report of the daemon running now."""
        return self._daemon.report() if self._daemon else None

    async def run(self, reread: Callable[[], Config] | None, ready: Callable[[str], None]) -> None:
        """Serve until a signal ends it.

        Args:
            reread: the configuration anew, on SIGHUP; a bad one is logged and the old one stays.
            ready: told the address once the server listens.

        Raises:
            NotDone: the address cannot be listened on.
        """
        stop, hangup = asyncio.Event(), asyncio.Event()
        stop_on_signals(stop, hangup if reread else None)
        server = await self._listen()
        ready(server.url)
        self._supervisor.ready()
        try:
            while not stop.is_set():
                await self._run(stop, hangup, reread)
        finally:
            self._supervisor.stopping()
            await server.close()

    async def _listen(self) -> Server:
        host, port = self._config.address()
        for text in exposure(host, self._web()):
            log.warning("%s", text)
        guard = Guard(self._site.handle, self._web, Hosts(host, self._config.allowed_hosts))
        try:
            return await serve(guard.handle, host, port, tls=lambda: self._web().tls)
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"cannot listen on {host}:{port}: {reason}; choose another with --listen HOST:PORT"
            raise NotDone(text) from error

    async def _run(self, stop: asyncio.Event, hangup: asyncio.Event, reread: Callable[[], Config] | None) -> None:
        """Run one daemon until `stop`, or until a new configuration has been read."""
        self._daemon = Daemon(
            self._config,
            checks(self._installed) if self._config.targets else (),
            self._gpus(self._config),
            on_report=self._reported,
            keep_history=True,
        )
        ended = asyncio.Event()
        running = asyncio.ensure_future(self._daemon.run(ended))
        stopping = asyncio.ensure_future(stop.wait())
        reloading = asyncio.ensure_future(self._reloaded(hangup, reread))
        done, _ = await asyncio.wait([running, stopping, reloading], return_when=asyncio.FIRST_COMPLETED)
        if done == {running}:
            log.error("the daemon ended by itself; it starts again in %g s", RESTART)
            await asyncio.wait([stopping], timeout=RESTART)
        ended.set()
        stopping.cancel()
        reloading.cancel()
        await running

    def _reported(self, report: Report) -> None:
        self._site.warm(report)
        self._supervisor.alive()
        for tell in self._told:
            tell(report)

    async def _reloaded(self, hangup: asyncio.Event, reread: Callable[[], Config] | None) -> None:
        """Return once there is a new configuration; a bad one is told, and the one in use stays."""
        while True:
            await hangup.wait()
            hangup.clear()
            try:
                config = reread() if reread else self._config
            except Failure as error:
                log.error("the configuration stays as it was: %s", error.message)  # noqa: TRY400 - one line
                continue
            for name in ("listen", "web_config", "allowed_hosts", "probes_at_once"):
                if (value := getattr(config, name)) != getattr(self._config, name):
                    log.warning("%s changed to %s: that needs a restart", name, value)
            self._config = config
            log.info("configuration re-read")
            return
