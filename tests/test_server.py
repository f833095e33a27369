"""What the site answers: by path, Accept and encoding, rendered once a report."""

from __future__ import annotations

import gzip

import pytest

from forgediag.export import Exporter, StaticFile
from forgediag.http import Request
from forgediag.model import Gap, Report, Snapshot
from forgediag.server import Site

REPORT = Report(Snapshot(0.0, (), Gap("n", "missing"), Gap("h", "missing")), (), (), {})
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


class Rendered:
    """Exporters that count how often they render."""

    def __init__(self) -> None:
        self.count = 0
        self.report: Report | None = REPORT
        exporters = (
            Exporter("text", "/metrics", TEXT, self._render(b"text")),
            Exporter("open", "/metrics", OPEN, self._render(b"open")),
            Exporter("big", "/big", "application/json", self._render(b"x" * 5000)),
            Exporter("cli", None, "text/plain", self._render(b"")),
        )
        self.site = Site(lambda: self.report, exporters)

    def _render(self, body: bytes):  # type: ignore[no-untyped-def] # returns Render
        def render(_: Report) -> bytes:
            self.count += 1
            return body

        return render

    def get(self, path: str, method: str = "GET", **headers: str):  # type: ignore[no-untyped-def] # returns Response
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.site.handle(Request(method, path, {}, names))


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("", b"text"),
        ("*/*", b"text"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text"),
        (PROMETHEUS, b"open"),
        ("text/plain;version=0.0.4;q=0.5", b"text"),
        ("application/openmetrics-text; version=1.0.0", b"open"),
        ("image/png", b"text"),
        ("application/*;q=0.3, text/plain;q=bad", b"open"),
    ],
)
def test_accept_chooses_the_format(accept: str, body: bytes) -> None:
    assert Rendered().get("/metrics", accept=accept).body == body


def test_a_big_answer_is_compressed_for_who_can_read_it() -> None:
    rendered = Rendered()
    compressed = rendered.get("/big", accept_encoding="br;q=1.0, gzip;q=0.8, *;q=0.1")
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == b"x" * 5000
    for encoding in ("", "identity", "gzip;q=0"):
        assert rendered.get("/big", accept_encoding=encoding).body == b"x" * 5000


def test_a_small_answer_is_not_compressed() -> None:
    assert "content-encoding" not in Rendered().get("/metrics", accept_encoding="gzip").headers


def test_each_format_is_rendered_once_a_report() -> None:
    rendered = Rendered()
    for _ in range(3):
        rendered.get("/metrics")
        rendered.get("/metrics", accept=PROMETHEUS)
    assert rendered.count == 2
    rendered.report = Report(REPORT.snapshot, (), (), {})
    rendered.get("/metrics")
    assert rendered.count == 3


def at(seconds: float) -> Report:
    return Report(Snapshot(seconds, (), Gap("n", "missing"), Gap("h", "missing")), (), (), {})


def test_a_scrapers_next_request_finds_its_answer_rendered() -> None:
    rendered = Rendered()
    for seconds in range(31):
        rendered.report = at(float(seconds))
        rendered.site.warm(rendered.report)
        before = rendered.count
        if seconds % 15 == 0:
            rendered.get("/metrics")
    assert before == rendered.count
    assert rendered.count <= 7


def test_one_request_is_no_rhythm_and_one_that_ended_is_forgotten() -> None:
    rendered = Rendered()
    rendered.report = at(0.0)
    rendered.get("/metrics")
    for seconds in range(1, 60):
        rendered.site.warm(at(float(seconds)))
    assert rendered.count == 1
    rendered.report = at(60.0)
    rendered.get("/metrics")
    for seconds in range(300, 310):
        rendered.site.warm(at(float(seconds)))
    assert rendered.count == 2


def test_who_asks_at_almost_every_report_is_not_rendered_for_ahead() -> None:
    rendered = Rendered()
    for seconds in range(0, 20, 2):
        for tick in (seconds, seconds + 1):
            rendered.report = at(float(tick))
            rendered.site.warm(rendered.report)
        rendered.get("/big")
    assert rendered.count == 10


def test_a_file_needs_no_report_and_an_exporter_may_bring_headers() -> None:
    file = StaticFile("/static/a.css", "text/css", lambda: b"x" * 600)
    page = Exporter("page", "/", "text/html", lambda _: b"page", (("cache-control", "private"), ("x-own", "1")))
    early, late = Site(lambda: None, (page,), (file,)), Site(lambda: REPORT, (page,), (file,))
    answer = early.handle(Request("GET", "/static/a.css", {}, {"accept-encoding": "gzip"}))
    assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")
    assert "immutable" in answer.headers["cache-control"]
    assert early.handle(Request("GET", "/", {}, {})).headers["refresh"] == "1"
    headers = late.handle(Request("GET", "/", {}, {})).headers
    assert (headers["cache-control"], headers["x-own"]) == ("private", "1")
    assert late.handle(Request("POST", "/static/a.css", {}, {})).status == 405
    assert late.handle(Request("GET", "/static/../a.css", {}, {})).status == 404


def test_before_the_first_poll_it_is_alive_but_not_ready() -> None:
    rendered = Rendered()
    rendered.report = None
    assert rendered.get("/healthz").status == 200
    assert rendered.get("/readyz").status == 503
    assert rendered.get("/metrics").status == 503
    rendered.report = REPORT
    assert rendered.get("/readyz").status == 200


def test_an_unknown_path_is_told_with_the_known_ones() -> None:
    answer = Rendered().get("/etc/passwd")
    assert answer.status == 404
    assert b"/big /healthz /metrics /readyz" in answer.body


def test_nothing_can_be_sent() -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = Rendered().get("/metrics", method)
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert Rendered().get("/metrics", "HEAD").status == 200
