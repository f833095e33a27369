"""What tells who and where somebody is, taken out of a text."""

from __future__ import annotations

import re

_HOME = re.compile(
    r"(?i)(/home/|/Users/|/media/|/run/user/|[A-Z]:\\+(?:Users|Documents and Settings)\\+)([^/\\\s'\"`,;:)]+)"
)
_URL_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]*@")
_URL_HOST = re.compile(r"(?i)\b(https?://)(?!127\.0\.0\.1|localhost|\[::1\])(\[[^\]\s]*\]|[^/\s:'\"`,;)]+)")
_PUBLIC = re.compile(r"(?i)^(?:[\w-]+\.)*(?:github\.com|huggingface\.co|pytorch\.org|nvidia\.com|pydantic\.dev)$")
_ADDRESS = re.compile(r"(?<![\d.])(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_SECRET = re.compile(
    r"(?i)((?:--)?[\w-]*(?:password|passwd|token|secret|api[_-]?key|authorization|(?:api|gradio)[_-]auth)\b[\"']?"
    r"(?:\s*[=:]\s*|\s+(?=[^\s:]+:[^\s:]+)))([\"']?)(?!True\b|USER:PASS\b|None\b)[^\s\"',;]+"
)
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+)")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
SYSTEM = frozenset({"root", "user", "public", "default", "shared", "admin"})
"""Names in home paths that tell nobody; `user` elsewhere in a text is a word."""


def redacted(text: str) -> str:
    """The text without secrets, user names, home folders, host names and addresses. Model file names stay."""
    text = _SECRET.sub(r"\1\2<secret>", text)
    text = _TOKEN.sub("<secret>", text)
    text = _URL_USER.sub(r"\1<secret>@", text)
    text = _URL_HOST.sub(_host, text)
    text = _MAIL.sub(lambda found: found[0] if "<secret>" in found[0] else "<address>", text)
    text = _ADDRESS.sub("<address>", text)
    names = {found[2] for found in _HOME.finditer(text)}
    text = _HOME.sub(r"\1<user>", text)
    for name in sorted(names, key=len, reverse=True):
        if len(name) >= 3 and name.lower() not in SYSTEM:
            text = re.sub(rf"(?i)(?<![\w]){re.escape(name)}(?![\w])", "<user>", text)
    return text


def _host(found: re.Match[str]) -> str:
    return found[0] if _PUBLIC.match(found[2]) else f"{found[1]}<host>"
