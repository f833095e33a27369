"""What tells who and where somebody is, taken out of a text."""

from __future__ import annotations

import re
from collections.abc import Callable

_END = r"[^/\\\s'\"`,;:)<>|]+"
_HOME = re.compile(
    r"(?i)(?P<where>/(?:home|Users|run/media|media|run/user)/|(?<![\w/])~(?=\w)"
    rf"|[A-Z]:[\\/]+(?:Users|Benutzer|home|Documents and Settings)[\\/]+)(?P<name>{_END}(?:[ ][^\s/\\'\"`,;:)<>|]+)*"
    rf"(?=[\\/])|{_END})"
)
"""A home folder and whose it is; a name with spaces counts where a separator follows it."""

_SHARE = re.compile(r"(?<![\w:\\/])(\\\\(?:\\\\)?|//)(?![?.\\/])([\w.-]+)(?=[\\/]\S)")
_URL = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)([^/\s@'\"]*@)?(\[[^\]\s]*\]|[^/\s:?#'\"`,;)<>\]]+)([^\s'\"`<>)]*)"
)
_OPEN = re.compile(
    r"(?i)^(?:(?:[\w-]+\.)*(?:github\.com|huggingface\.co|pytorch\.org|nvidia\.com|pydantic\.dev)"
    r"|127\.0\.0\.1|0\.0\.0\.0|localhost|\[::1?\])$"
)
"""Hosts that tell nobody: where sources are, and this machine itself."""
_HOOK = re.compile(r"(?i)(?:^|\.)(?:discord(?:app)?\.com|hooks\.slack\.com|ntfy\.sh|office\.com|telegram\.org)$")
"""Services whose addresses are the secret."""
_QUERY = re.compile(r"([?&][\w.\[\]-]+=)[^&\s]+")

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_ADDRESSES = (
    re.compile(r"(?<!\w)[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}"),
    re.compile(rf"(?<![\d.])(?!127\.|0\.0\.0\.0)(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.])"),
    re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:)+(?::[0-9a-f]{1,4})+(?![\w:])"),
    re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])"),
    re.compile(r"(?i)(?<![\w:-])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:-])"),
)
"""Mail addresses and `user@host`, IPv4, IPv6 short and long, network cards."""
_HOSTS = re.compile(
    r"(?i)\b(?:(?:DESKTOP|LAPTOP|WIN)-[A-Z0-9]{5,}|(?!threading\.)(?:[\w-]{1,63}\.){1,4}(?:lan|local|fritz\.box|ts\.net))\b"
)

_VALUE = r"[\"']?(?:\s*[=:]\s*|\s+(?=[^\s:]+:[^\s:]+))[\"']?(?!True\b|USER:PASS\b|None\b)"
_SECRETS = (
    re.compile(rf"(?i)((?:--)?(?:api|gradio)[_-]auth\b{_VALUE})()[^\s\"']+"),
    re.compile(
        r"(?i)((?:proxy-)?authorization[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic|digest|token)\s+)?)()[^\s\"',;]+"
    ),
    re.compile(r"(?i)((?:set-)?cookie[\"']?\s*[=:]\s*)()[^\r\n\"']+"),
    re.compile(r"(?i)(--ngrok(?:-auth\w*)?(?:\s+|=))()(?!-)\S+"),
    re.compile(
        r"(?i)((?:--)?[\w-]{0,40}(?:password|passwd|passphrase|token|secret|api[_-]?key|access[_-]?key)\b"
        rf"{_VALUE})([\"']?)[^\s\"',;]+"
    ),
    re.compile(r"(?i)(\b(?:webhook|hook_url)\b[\"']?\s*[=:]\s*[\"']?)()[^\s\"',;]+"),
)
_PERSON = re.compile(
    r"(\b(?:USERNAME|USER|LOGNAME|USERPROFILE|COMPUTERNAME|HOSTNAME|USERDOMAIN)[\"']?\s*[=:]\s*[\"']?)(?!PASS\b)[^\s\"',;/\\]+"
)
_SERVER = re.compile(r"(?i)(--server-name[=\s]+)(?!127\.|0\.0\.0\.0|localhost)[^\s\"',]+")
_TOKEN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[a-z]-[\w-]{8,}"
    r"|sk-[\w-]{16,}|A(?:KI|SI)A[A-Z0-9]{12,}|AIza[\w-]{20,}|eyJ[\w-]{6,}\.[\w-]+\.[\w-]+)"
)
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_CARD = re.compile(r"\b(GPU|MIG)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
SYSTEM = frozenset({"root", "user", "public", "default", "shared", "admin"})
"""Names in home paths that tell nobody; `user` elsewhere in a text is a word."""


def redacted(text: str) -> str:
    """The text without secrets, user names, home folders, host names and addresses. Model file names stay."""
    text = _KEY.sub("<secret>", text)
    for secret in _SECRETS:
        text = secret.sub(r"\1\2<secret>", text)
    text = _TOKEN.sub("<secret>", text)
    text = _SERVER.sub(r"\1<host>", text)
    hosts: set[str] = set()
    text = _URL.sub(lambda found: _url(found, hosts.add), text)
    hosts.update(host for _, host in _SHARE.findall(text))
    text = _SHARE.sub(r"\1<host>", text)
    text = _HOSTS.sub("<host>", _PERSON.sub(r"\1<user>", _CARD.sub(r"\1-<id>", text)))
    people = {found["name"] for found in _HOME.finditer(text)}
    text = _HOME.sub(r"\g<where><user>", text)
    for address in _ADDRESSES:
        text = address.sub(lambda found: found[0] if "<" in found[0] else "<address>", text)
    return _everywhere(_everywhere(text, people, "<user>"), hosts, "<host>")


def _everywhere(text: str, names: set[str], word: str) -> str:
    for name in sorted(names, key=len, reverse=True):
        if len(name) >= 3 and name.lower() not in SYSTEM:
            text = re.sub(rf"(?i)(?<![\w]){re.escape(name)}(?![\w])", word, text)
    return text


def _url(found: re.Match[str], told: Callable[[str], object]) -> str:
    scheme, host, rest = found[1], found[3], found[4]
    if scheme.lower() == "file://" or host.startswith("<"):
        return found[0]
    kept = bool(_OPEN.match(host))
    if not kept:
        told(host.strip("[]").partition(".")[0] if not host[0].isdigit() else host)
    rest = "/<secret>" if _HOOK.search(host) and rest else _QUERY.sub(r"\1<secret>", rest)
    return f"{scheme}{host if kept else '<host>'}{rest}"
