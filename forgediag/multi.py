"""Many targets, each scraped apart: probes of one configured Forge, service discovery, what the last probes said."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from forgediag.config import TargetConfig
from forgediag.http import Handler, Request, Response
from forgediag.model import Gap, Probe, Report

if TYPE_CHECKING:
    from forgediag.sources.poll import Read

PLAIN = {"content-type": "text/plain; charset=utf-8"}

OFFSET = 0.5
"""Seconds of a scrape's timeout left for the answer's way back."""

USUAL, LONGEST = 10.0, 60.0
"""Seconds of a scrape that names no timeout (Prometheus' default), and of one that names a very long one."""

PER_TARGET = 8
"""Probes of one target at once: one that hangs must not take the places of all others."""

REMEMBERED = 100
"""Probes shown."""


class Watching(Protocol):
    """The daemon, as a probe sees it."""

    @property
    def targets(self) -> Sequence[TargetConfig]:
        """The configured Forges."""
        ...

    async def probe(self, name: str, seconds: float) -> tuple[Report, Sequence[Read]]:
        """A report of one target after a fresh look at it, and what was read meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Probed:
    """One probe that has ended. `at` is its beginning in Unix seconds, `log` what happened in it."""

    at: float
    target: str
    success: bool
    seconds: float
    log: tuple[str, ...]


class Probes:
    """Answers /probe, /probes and /sd. No address is ever taken from a request, only names of the configuration."""

    def __init__(
        self,
        watching: Callable[[], Watching | None],
        render: Callable[[Report, Request], Response],
        at_once: int,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Probe what `watching` returns.

        Args:
            watching: the daemon running now; None while there is none.
            render: a report as metrics, in the format a request asks for.
            at_once: probes that may be under way.
            wall: Unix seconds.
        """
        self._watching, self._render, self._at_once, self._wall = watching, render, at_once, wall
        self._running: Counter[str] = Counter()
        self._last: deque[Probed] = deque(maxlen=REMEMBERED)
        self.pages: Mapping[str, Handler] = {
            "/probe": self.probe,
            "/probes": self.page,
            "/sd": self.discovery,
        }

    def probe(self, request: Request) -> Response | Awaitable[Response]:
        """One target's metrics after a fresh look at it; `forge_up 0` when it does not answer within the scrape."""
        daemon = self._watching()
        if daemon is None:
            return _refused(503, "forgediag is starting")
        name = request.query.get("target", "")
        names = [target.name for target in daemon.targets]
        if name not in names:
            text = f"no target {name[:100]!r} is configured" if name else "a probe needs ?target=NAME"
            return _refused(400, f"{text}; there is: {' '.join(names) or 'none'}")
        if self._running[name] >= PER_TARGET:
            return _refused(503, f"{PER_TARGET} probes of {name} are under way already: scrape it less often")
        if self._running.total() >= self._at_once:
            return _refused(
                503, f"{self._at_once} probes are under way already: raise probes_at_once or scrape less often"
            )
        return self._probe(daemon, name, request)

    async def _probe(self, daemon: Watching, name: str, request: Request) -> Response:
        seconds = patience(request.headers.get("x-prometheus-scrape-timeout-seconds", ""))
        at = self._wall()
        self._running[name] += 1
        try:
            report, reads = await daemon.probe(name, seconds)
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]
        if probe := report.probe:
            log = (f"waited at most {seconds:g} s", *map(_line, reads))
            self._last.append(Probed(at, name, probe.success, probe.seconds, log))
        return self._render(report, request)

    def discovery(self, request: Request) -> Response:
        """Prometheus' HTTP service discovery: this server once for each target, to be asked for that target."""
        daemon = self._watching()
        if daemon is None:
            return _refused(503, "forgediag is starting")
        groups = [
            {
                "targets": [request.headers.get("host", "")],
                "labels": {
                    "__metrics_path__": "/probe",
                    "__param_target": target.name,
                    "instance": target.name,
                    **target.labels,
                },
            }
            for target in daemon.targets
        ]
        return Response(200, {"content-type": "application/json"}, json.dumps(groups, indent=1).encode())

    def page(self, _: Request) -> Response:
        """The last probes with their logs, the newest first."""
        rows = "\n".join(_row(probed) for probed in reversed(self._last)) or "<p>No probe yet.</p>"
        body = PAGE.format(shown=len(self._last), running=self._running.total(), rows=rows)
        return Response(200, {"content-type": "text/html; charset=utf-8"}, body.encode())


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>forgediag: last probes</title>
<h1>Last probes</h1>
<p>The last {shown}, the newest first; {running} under way.</p>
{rows}
</html>
"""


def _row(probed: Probed) -> str:
    from html import escape  # noqa: PLC0415 - its table of entities is 0.4 MB, and few look at this page

    moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(probed.at))
    outcome = "answered" if probed.success else "failed"
    head = f"{moment} {probed.target}: {outcome} after {probed.seconds:.3f} s"
    opened = "" if probed.success else " open"
    return f"<details{opened}><summary>{escape(head)}</summary><pre>{escape(chr(10).join(probed.log))}</pre></details>"


def _line(read: Read) -> str:
    return f"{read.endpoint}: {read.why or 'answered'} ({read.seconds:.3f} s)"


ELSEWHERE = Gap("the machine's own facts are at /metrics", "unsupported", expected=True)


def alone(report: Report, *, fresh: bool, seconds: float) -> Report:
    """The report of one target without its machine's facts, as one probe's.

    Args:
        report: has this target only.
        fresh: whether its Forge was seen in time; if not, what was known of it before is not told as if it held.
        seconds: what the probe waited.
    """
    (target,) = report.snapshot.targets
    if not fresh:
        silent = Gap(f"{target.name} gave no answer within {seconds:.1f} s", "timeout")
        target = replace(target, forge=silent, files=silent)
    snapshot = replace(report.snapshot, targets=(target,), nvml=ELSEWHERE, host=ELSEWHERE, sampler_lag=None, own=None)
    success = not isinstance(target.forge, Gap)
    return replace(report, snapshot=snapshot, probe=Probe(target.name, success, seconds))


def patience(header: str) -> float:
    """Seconds a probe may wait when the scrape's timeout is this; what is no number counts as the usual one."""
    try:
        timeout = float(header)
    except ValueError:
        timeout = USUAL
    if not math.isfinite(timeout) or timeout <= 0:
        timeout = USUAL
    timeout = min(timeout, LONGEST)
    return max(timeout - OFFSET, timeout / 2)


def _refused(status: int, reason: str) -> Response:
    return Response(status, PLAIN, f"{reason}\n".encode())
