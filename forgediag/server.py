"""The HTTP side: route and Accept to an exporter's bytes, rendered once a report and served as they are."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from forgediag.export import Exporter, StaticFile
from forgediag.http import Request, Response
from forgediag.model import Report

WORTH_COMPRESSING = 500
"""Bytes below which gzip saves nothing: the answer fits one packet anyway."""

HEADERS: Mapping[str, str] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
PLAIN = "text/plain; charset=utf-8"

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
        self._routes: dict[str, list[Exporter]] = {}
        for exporter in exporters:
            if exporter.path is not None:
                self._routes.setdefault(exporter.path, []).append(exporter)
        self._files = {file.path: file for file in files}
        self._renderings: dict[tuple[str, bool], _Rendering] = {}

    def handle(self, request: Request) -> Response:
        """One answer."""
        if request.method not in {"GET", "HEAD"}:
            return Response(405, {"content-type": PLAIN, "allow": "GET, HEAD", **HEADERS}, b"only GET and HEAD\n")
        report = self._report()
        if request.path == "/healthz":
            return Response(200, {"content-type": PLAIN, **HEADERS}, b"ok\n")
        if request.path == "/readyz":
            ready = report is not None
            text = b"ready\n" if ready else b"the first poll is not done yet\n"
            return Response(200 if ready else 503, {"content-type": PLAIN, **HEADERS}, text)
        compressed = _accepts_gzip(request.headers.get("accept-encoding", ""))
        if (file := self._files.get(request.path)) is not None:
            return _file(file, compressed=compressed)
        choices = self._routes.get(request.path)
        if choices is None:
            paths = " ".join(sorted([*self._routes, "/healthz", "/readyz"]))
            return Response(404, {"content-type": PLAIN, **HEADERS}, f"not here; there is: {paths}\n".encode())
        return self._newest(choices, request.headers.get("accept", ""), report, compressed=compressed)

    def _newest(self, choices: Sequence[Exporter], accept: str, report: Report | None, *, compressed: bool) -> Response:
        if report is None:
            return Response(
                503,
                {"content-type": PLAIN, "retry-after": "1", "refresh": "1", **HEADERS},  # a browser asks again
                b"the first poll is not done yet\n",
            )
        return self._render(_choose(choices, accept), report, compressed=compressed)

    def warm(self, report: Report) -> None:
        """Render what is about to be asked for, so that a scraper's next request only has to be sent bytes."""
        for known in self._renderings.values():
            if known.expected(report.snapshot.at):
                known.report, known.response = report, _respond(known.exporter, report, compressed=known.compressed)

    def _render(self, exporter: Exporter, report: Report, *, compressed: bool) -> Response:
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


def _file(file: StaticFile, *, compressed: bool) -> Response:
    headers = {"content-type": file.media_type, "vary": "accept-encoding", **HEADERS, "cache-control": KEPT}
    return _response(headers, file.content(), compressed=compressed)


def _respond(exporter: Exporter, report: Report, *, compressed: bool) -> Response:
    headers = {
        "content-type": exporter.media_type,
        "vary": "accept, accept-encoding",
        **HEADERS,
        **dict(exporter.headers),
    }
    return _response(headers, exporter.render(report), compressed=compressed)


def _response(headers: dict[str, str], body: bytes, *, compressed: bool) -> Response:
    if compressed and len(body) >= WORTH_COMPRESSING:
        body = gzip.compress(body, 1, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(200, headers, body)


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
