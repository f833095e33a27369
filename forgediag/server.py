"""The HTTP side: route and Accept to an exporter's bytes, rendered once a report and served as they are."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from forgediag.export import Exporter, StaticFile
from forgediag.http import Handler, Request, Response
from forgediag.model import Report

WORTH_COMPRESSING = 500
"""Bytes below which gzip saves nothing: the answer fits one packet anyway."""

PLAIN: Mapping[str, str] = {"content-type": "text/plain; charset=utf-8"}

KEPT = "public, max-age=31536000, immutable"
"""How long a static file may be kept: its address changes with its content."""


AHEAD = 2.0
"""Seconds before the next expected request in which each new report is rendered at once.

Who asks more often than every 2 * AHEAD gets what is rendered when asked: to be ahead would render every report.
"""


@dataclass(slots=True)
class _Rendering:
    """The newest rendering of one format. `asked` and `interval` are times of snapshots, in seconds."""

    exporter: Exporter
    compressed: bool
    report: Report
    response: Response
    asked: float
    interval: float | None = None

    def expected(self, now: float) -> bool:
        """Whether the next request is about to come, if they go on coming as they did."""
        if self.interval is None or self.interval < 2 * AHEAD:
            return False
        return self.interval - AHEAD <= now - self.asked <= 2 * self.interval + AHEAD


class Site:
    """Answers requests from the newest report. Nothing it serves changes anything."""

    def __init__(
        self, report: Callable[[], Report | None], exporters: Sequence[Exporter], files: Sequence[StaticFile] = ()
    ) -> None:
        """Serve what `report` returns; None while there is none yet.

        Args:
            report: the newest report; the same object as long as nothing has changed.
            exporters: the first one for a path is that path's default.
            files: what their pages link to.
        """
        self._report = report
        self.pages: dict[str, Handler] = {"/healthz": _alive, "/readyz": self._ready}
        self._routes: dict[str, list[Exporter]] = {}
        for exporter in exporters:
            if exporter.path is not None:
                self._routes.setdefault(exporter.path, []).append(exporter)
        self._files = {file.path: file for file in files}
        self._renderings: dict[tuple[str, bool], _Rendering] = {}

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """One answer. `pages` are further paths, answered by themselves."""
        if request.method not in {"GET", "HEAD"}:
            return Response(405, {**PLAIN, "allow": "GET, HEAD"}, b"only GET and HEAD\n")
        if (page := self.pages.get(request.path)) is not None:
            return page(request)
        report = self._report()
        if (file := self._files.get(request.path)) is not None:
            return _file(file, compressed=_accepts_gzip(request.headers.get("accept-encoding", "")))
        choices = self._routes.get(request.path)
        if choices is None:
            paths = " ".join(sorted([*self._routes, *self.pages]))
            return Response(404, PLAIN, f"not here; there is: {paths}\n".encode())
        if report is None:
            return NOT_YET
        return self._render(*_wanted(choices, request), report)

    def _ready(self, _: Request) -> Response:
        return NOT_YET if self._report() is None else Response(200, PLAIN, b"ready\n")

    def metrics(self, report: Report, request: Request) -> Response:
        """Another report than the newest as /metrics would have it."""
        exporter, compressed = _wanted(self._routes["/metrics"], request)
        return _respond(exporter, report, compressed=compressed)

    def warm(self, report: Report) -> None:
        """Render what is about to be asked for, so that a scraper's next request only has to be sent bytes."""
        for known in self._renderings.values():
            if known.expected(report.snapshot.at):
                known.report, known.response = report, _respond(known.exporter, report, compressed=known.compressed)

    def _render(self, exporter: Exporter, compressed: bool, report: Report) -> Response:  # noqa: FBT001 - of _wanted
        key, now = (exporter.name, compressed), report.snapshot.at
        known = self._renderings.get(key)
        if known is None:
            response = _respond(exporter, report, compressed=compressed)
            self._renderings[key] = _Rendering(exporter, compressed, report, response, now)
            return response
        if known.report is not report:
            known.report, known.response = report, _respond(exporter, report, compressed=compressed)
        known.asked, known.interval = now, max(0.0, now - known.asked)
        return known.response


NOT_YET = Response(
    503,
    {**PLAIN, "retry-after": "1", "refresh": "1"},  # a browser asks again
    b"the first poll is not done yet\n",
)


def _alive(_: Request) -> Response:
    return Response(200, PLAIN, b"ok\n")


def _file(file: StaticFile, *, compressed: bool) -> Response:
    headers = {"content-type": file.media_type, "vary": "accept-encoding", "cache-control": KEPT}
    return _response(headers, file.content(), compressed=compressed)


def _respond(exporter: Exporter, report: Report, *, compressed: bool) -> Response:
    headers = {"content-type": exporter.media_type, "vary": "accept, accept-encoding", **dict(exporter.headers)}
    return _response(headers, exporter.render(report), compressed=compressed)


def _response(headers: dict[str, str], body: bytes, *, compressed: bool) -> Response:
    if compressed and len(body) >= WORTH_COMPRESSING:
        body = _gzip(body)
        headers["content-encoding"] = "gzip"
    return Response(200, headers, body)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _wanted(choices: Sequence[Exporter], request: Request) -> tuple[Exporter, bool]:
    """The exporter a request asks for, and whether its client can read gzip."""
    exporter = _choose(choices, request.headers.get("accept", ""))
    return exporter, _accepts_gzip(request.headers.get("accept-encoding", ""))


def _accepts_gzip(header: str) -> bool:
    return any(quality > 0 for name, quality in _weighted(header) if name in {"gzip", "*"})


def _choose(choices: Sequence[Exporter], accept: str) -> Exporter:
    """The exporter a client likes best; the first when it does not care or wants what there is not."""

    def liking(exporter: Exporter) -> float:
        offered = exporter.media_type.replace(" ", "").split(";charset")[0]
        kind = offered.partition(";")[0]
        names = {offered, kind, kind.split("/")[0] + "/*", "*/*"}
        return max((quality for name, quality in _weighted(accept) if name in names), default=0.0)

    return max(choices, key=liking)


@lru_cache(maxsize=64)
def _weighted(header: str) -> tuple[tuple[str, float], ...]:
    """An Accept-like header as (name with its parameters, quality)."""
    items: list[tuple[str, float]] = []
    for part in header.lower().replace(" ", "").split(","):
        name, _, quality = part.partition(";q=")
        try:
            items.append((name, float(quality) if quality else 1.0))
        except ValueError:
            continue
    return tuple(items)
