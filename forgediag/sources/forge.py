"""One Forge over HTTP: one kept-alive connection, each endpoint at its own pace, every failure a Gap."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from forgediag.forge.forks import fork_of
from forgediag.model import Checkpoint, Forge, Fork, Gap, GapKind, Known, Listing, Module, Options
from forgediag.sources import forge_answers as answers
from forgediag.sources.wire import Wire

LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes read of one answer before it is refused. A real Forge's largest polled answer is 11 KB of options; a list of
10,000 models is about 3 MB."""

Parse = Callable[[Any, tuple[str, ...]], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route of Forge's API and how its answer is read. `optional`: a 404 means this fork does not have it."""

    name: str
    path: str
    parse: Parse
    optional: bool = False


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint("progress", "/sdapi/v1/progress?skip_current_image=true", answers.parse_progress),
        Endpoint("options", "/sdapi/v1/options", answers.parse_options),
        Endpoint("memory", "/sdapi/v1/memory", answers.parse_memory),
        Endpoint("sd-models", "/sdapi/v1/sd-models", answers.parse_checkpoints),
        Endpoint("sd-modules", "/sdapi/v1/sd-modules", answers.parse_modules, optional=True),
        Endpoint("cmd-flags", "/sdapi/v1/cmd-flags", answers.parse_flags),
        Endpoint("samplers", "/sdapi/v1/samplers", answers.parse_samplers),
    )
}

SYSINFO = Endpoint("sysinfo", "/internal/sysinfo", answers.parse_sysinfo, optional=True)
"""Only with the web UI, and it runs `pip freeze` each time (2 s on a real Forge): asked for rarely and on purpose."""

DOWN: frozenset[GapKind] = frozenset({"refused", "timeout", "unauthorized", "not_forge", "invalid"})
"""Gap kinds that say, when progress has them, that the whole Forge is not usable: every fork has that endpoint, and a
real Forge answers it within 176 ms even while it loads a model."""


@cache
def _trust(*, secure: bool) -> ssl.SSLContext:
    """One for all targets: the certificates of the authorities take 0.8 MiB."""
    return ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def http_client(
    url: str, auth: tuple[str, str] | None, timeout: float, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """An HTTP client for one Forge: no proxy, certificates only where the URL asks for them."""
    return httpx.AsyncClient(
        auth=auth,
        headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "forgediag"},
        timeout=timeout,
        transport=transport or Wire(_trust(secure=url.startswith("https:"))),
        trust_env=False,
    )


class ForgeClient:
    """Reads one Forge's endpoints. Not thread-safe; belongs to one event loop. Close it with `close()`."""

    def __init__(
        self,
        url: str,
        auth: tuple[str, str] | None = None,
        *,
        timeout: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare a client; nothing is sent.

        Args:
            url: Forge's base URL, without user and password in it.
            auth: HTTP Basic user and password.
            timeout: seconds one whole answer may take.
            transport: replaces the network (unit tests).
        """
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._client = http_client(self.url, auth, timeout, transport)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def read(self, endpoint: Endpoint) -> Known[Any]:
        """One endpoint's facts, or why not. Never raises for anything Forge or the network does."""
        try:
            answer = await asyncio.wait_for(self._get(endpoint), self.timeout)
            return self._parse(endpoint, answer)
        except _UnansweredError as refusal:
            return Gap(f"{self.url} {refusal}", refusal.kind, refusal.expected)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            return Gap(f"{self.url} gave no whole answer to {endpoint.name} within {self.timeout:g} s", "timeout")
        except httpx.ConnectError as error:
            return Gap(f"nothing answers at {self.url}: {_why(error)}", "refused")
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return Gap(f"{self.url} broke off its answer to {endpoint.name}: {_why(error)}", "refused")

    async def _get(self, endpoint: Endpoint) -> _Answer:
        async with self._client.stream("GET", self.url + endpoint.path) as response:
            if response.is_redirect:
                raise _UnansweredError("not_forge", f"redirects to {response.headers.get('location', '?')[:120]}")
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > LARGEST_ANSWER:
                    raise _UnansweredError(
                        "not_forge", f"answers {endpoint.name} with more than {LARGEST_ANSWER >> 20} MB"
                    )
                parts.append(part)
            return _Answer(response.status_code, response.headers.get("content-type", ""), b"".join(parts))

    def _parse(self, endpoint: Endpoint, answer: _Answer) -> Any:
        if answer.status == 401:
            raise _UnansweredError("unauthorized", f"wants a user and password: {_detail(answer.body)}")
        if answer.status == 404 and endpoint.optional:
            raise _UnansweredError("unsupported", f"has no {endpoint.path}", expected=True)
        if answer.status == 404:
            raise _UnansweredError("not_forge", f"has no {endpoint.path}: Forge without --api, or no Forge")
        if "html" in answer.content_type or answer.body[:1] == b"<":
            raise _UnansweredError(
                "not_forge", f"answers {endpoint.name} with a web page, not JSON: it is no Forge API"
            )
        try:
            values, broken = answers.unwrap(answer.status, json.loads(answer.body))
            return endpoint.parse(values, broken)
        except answers.AnswerError as error:
            raise _UnansweredError("invalid", f"answers {endpoint.name} with {error}") from error
        except (ValueError, RecursionError) as error:
            text = f"answers {endpoint.name} with {len(answer.body)} bytes that are not whole JSON"
            raise _UnansweredError("invalid", text) from error


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


class _UnansweredError(Exception):
    """What was sent back is not the answer asked for."""

    def __init__(self, kind: GapKind, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.kind: GapKind = kind
        self.expected = expected


def assemble(url: str, facts: Mapping[str, Known[Any]]) -> Known[Forge]:
    """The facts of all endpoints as one Forge, or the gap that makes it one.

    Args:
        url: Forge's base URL.
        facts: the latest result by endpoint name; one not read yet is absent.
    """
    unread = Gap(f"{url} was not asked yet", "starting", expected=True)
    progress = facts.get("progress", unread)
    if isinstance(progress, Gap) and (progress.kind in DOWN or progress is unread):
        return progress
    options = facts.get("options", unread)
    return Forge(
        url=url,
        fork=options if isinstance(options, Gap) else _fork(options),
        options=options,
        memory=facts.get("memory", unread),
        progress=progress,
        listing=_listing(facts.get("sd-models", unread), facts.get("sd-modules", unread)),
        flags=facts.get("cmd-flags", unread),
        samplers=facts.get("samplers", unread),
        sysinfo=facts.get("sysinfo", unread),
    )


def _fork(options: Options) -> Known[Fork]:
    """The fork. A broken GET options lacks the options never set (seen on a real Forge), so absence tells nothing."""
    fork = fork_of(options.values.keys())
    if options.broken and fork == "other":
        return Gap("which fork answers cannot be told while GET options is broken", "invalid", expected=True)
    return fork


def _listing(checkpoints: Known[tuple[Checkpoint, ...]], modules: Known[tuple[Module, ...]]) -> Known[Listing]:
    if isinstance(checkpoints, Gap):
        return checkpoints
    if isinstance(modules, Gap):
        return Listing(checkpoints, ()) if modules.expected else modules
    return Listing(checkpoints, modules)


def _why(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:160]


def _detail(body: bytes) -> str:
    try:
        detail: object = json.loads(body).get("detail", "")
    except (ValueError, AttributeError):
        return "401"
    return str(detail)[:80]
