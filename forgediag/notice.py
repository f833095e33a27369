"""A notice when system memory runs short: a webhook, a command, each only where configured, and not too often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from forgediag.config import NoticeConfig
from forgediag.model import MB, Host, Report

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds a webhook may take to answer and a command to end."""


class Notices:
    """Watches reports of one daemon. Off without a threshold; belongs to one event loop."""

    def __init__(self, config: NoticeConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is sent.

        Args:
            config: the threshold, where notices go, and how often at most.
            clock: monotonic seconds.
        """
        self._config, self._clock = config, clock
        self._next = float("-inf")
        self._sending: asyncio.Task[None] | None = None

    def follow(self, report: Report) -> None:
        """Send a notice if this report calls for one and the last one is long enough ago."""
        host, limit = report.snapshot.host, self._config.ram_below_mb * MB
        if not isinstance(host, Host) or host.ram_available >= limit or self._clock() < self._next:
            return
        self._next = self._clock() + self._config.every
        said = _document(report, host)
        log.warning("only %d MB of system memory are available", host.ram_available // MB)
        self._sending = asyncio.ensure_future(self._send(said))

    async def _send(self, said: Mapping[str, Any]) -> None:
        if self._config.webhook is not None:
            await self._post(self._config.webhook, said)
        if self._config.command:
            await self._run(said)

    async def _post(self, url: str, said: Mapping[str, Any]) -> None:
        import httpx  # noqa: PLC0415 - loaded already where a Forge is polled

        try:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                answer = await client.post(url, json=said)
            if answer.status_code >= 400:
                log.warning("the webhook answered %d", answer.status_code)
        except httpx.HTTPError as error:
            log.warning("the webhook cannot be reached: %s", error or type(error).__name__)

    async def _run(self, said: Mapping[str, Any]) -> None:
        """Run the command with the notice as JSON on its standard input; it is ended when it takes too long."""
        command = self._config.command
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("%s cannot be run: %s", command[0], error.strerror or error)
            return
        try:
            await asyncio.wait_for(child.communicate(json.dumps(said).encode()), PATIENCE)
        except asyncio.TimeoutError:
            log.warning("%s was ended after %g s", command[0], PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        else:
            if child.returncode:
                log.warning("%s ended with status %d", command[0], child.returncode)


def _document(report: Report, host: Host) -> Mapping[str, Any]:
    held = {target.name: getattr(target.process, "resident", None) for target in report.snapshot.targets}
    return {
        "schema": "forgediag.notice/1",
        "event": "ram-low",
        "at": report.snapshot.at,
        "ram_available_bytes": host.ram_available,
        "ram_total_bytes": host.ram_total,
        "forge_resident_bytes": held,
    }
