"""A request's head as h11 has it: whether it can be accepted, and as a Request."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from forgediag.http.message import Limits, Request


def refusal(head: h11.Request, limits: Limits) -> tuple[int, str] | None:
    """Status and reason of a head that is refused: h11 itself only limits one that comes in pieces."""
    if len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers) > limits.header_bytes:
        return 431, f"a request's head may have {limits.header_bytes} bytes"
    if any(name == b"content-length" and int(value) > limits.body_bytes for name, value in head.headers):
        return 413, f"a body may have {limits.body_bytes} bytes"
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in head.headers}:
        return 400, "a body has a length or comes in chunks, not both"  # proxies disagree where such a request ends
    if head.method == b"CONNECT":
        return 405, "this is no proxy"
    return None


def whole_request(head: h11.Request, body: bytes, client: str) -> Request | None:
    """Head and body as a Request; None when the target is none."""
    try:
        target = urlsplit(head.target.decode("ascii"))
        query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return None
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode(), unquote(target.path), query, headers, body, client)
