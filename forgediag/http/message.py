"""What is asked of an HTTP server, what it answers, and how much of it one client may ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Header names are lower-case; `path` is decoded and has no query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. A body of bytes is sent in one write with its head; an iterator is sent chunked as it comes."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | AsyncIterator[bytes] = b""


SAFE: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Headers that keep a browser from doing anything with an answer but show it; a page that needs more says what."""

Handler = Callable[[Request], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server. Bytes and seconds.

    `read_seconds` is for a whole request from its first byte on, `idle_seconds` for a silent connection,
    `write_seconds` for taking an answer that does not fit the network's buffers, `handshake_seconds` for TLS.
    """

    header_bytes: int = 16 * 1024
    body_bytes: int = 1024 * 1024
    read_seconds: float = 10.0
    idle_seconds: float = 120.0
    write_seconds: float = 30.0
    handshake_seconds: float = 5.0
    connections: int = 256
