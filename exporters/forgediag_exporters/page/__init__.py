"""The page at `/` for a person in a hurry: HTML with charts drawn here, and its two files."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from forgediag.export import Exporter, StaticFile
from forgediag.model import Report

HTML = "text/html; charset=utf-8"

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY = (
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
)
"""Nothing inline runs or styles, and nothing is asked of any other host."""


def _read(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _style() -> bytes:
    return _read("page.css")


def _script() -> bytes:
    return _read("page.js")


FILES = (
    StaticFile("/static/page.css", "text/css; charset=utf-8", _style),
    StaticFile("/static/page.js", "text/javascript; charset=utf-8", _script),
)


def address(file: StaticFile) -> str:
    """Where a page links to: another address for other content, so that browsers may keep it."""
    return f"{file.path}?v={sha256(file.content()).hexdigest()[:12]}"


def _render(report: Report) -> bytes:
    from forgediag_exporters.page.document import document  # noqa: PLC0415 - most daemons are never looked at

    return document(report).encode()


PAGE = (Exporter("page", "/", HTML, _render, SECURITY), *FILES)
