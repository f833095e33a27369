"""What an exporter is: a name, a path, a media type and a function from report to bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from forgediag.model import Report

Render = Callable[[Report], bytes]


@dataclass(frozen=True, slots=True)
class Exporter:
    """One rendering of a report.

    `path` is where the server offers it (None: only the command line does), `media_type` the full Content-Type.
    Several exporters may share a path; the request's Accept header picks by `media_type`, the first is the default.
    `headers` go with the answer; they win over those the server gives by itself.
    """

    name: str
    path: str | None
    media_type: str
    render: Render
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that belongs to an exporter's page: the same bytes until forgediag itself is another version.

    `path` is where the server offers it; a page links to it with something in the query that changes with `content`,
    for clients may keep it for a year.
    """

    path: str
    media_type: str
    content: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Asset:
    """Files written by `forgediag assets KIND DIR`: a mapping from relative path to content."""

    kind: str
    files: Callable[[], dict[str, str]]
