"""HTTP/1.1 for httpx on asyncio's own streams: one Forge asked again and again, in 2.4 MiB less than httpcore."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar, cast

import h11
import httpx

T = TypeVar("T")

READ = 64 * 1024
HEAD_BYTES = 100 * 1024
"""Bytes of a status line and headers that are read before an answer is refused."""

KEPT = 120.0
"""Seconds an idle connection is used again."""

FAMILIES_APART = 0.25
"""Seconds after which the next address of a name is tried too (RFC 8305): `localhost` is often IPv6 first."""


class Wire(httpx.AsyncBaseTransport):
    """Asks and keeps the connection for the next request. No proxies, no HTTP/2. Belongs to one event loop."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        """Prepare; nothing is opened. `trust` is used for https URLs."""
        self._trust = trust
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request and the head of its answer; its body is read from the response's stream.

        A connection that the server closed while it was idle is no failure: a new one is tried.

        Raises:
            httpx.TransportError: no connection, a broken one, or an answer that is not HTTP.
        """
        while kept := self._kept(request.url):
            try:
                return await self._ask(kept, request)
            except _StaleError:
                continue
        return await self._ask(await self._connect(request), request)

    def _kept(self, url: httpx.URL) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(_origin(url)):
                return connection
            connection.close()
        return None

    async def _connect(self, request: httpx.Request) -> _Connection:
        scheme, host, port = origin = _origin(request.url)
        trust = self._trust if scheme == "https" else None
        opening = asyncio.open_connection(host, port, ssl=trust, happy_eyeballs_delay=FAMILIES_APART)
        try:
            reader, writer = await _within(opening, request, "connect")
        except asyncio.TimeoutError as error:
            raise httpx.ConnectTimeout("connecting took too long", request=request) from error
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return _Connection(origin, reader, writer)

    async def _ask(self, connection: _Connection, request: httpx.Request) -> httpx.Response:
        try:
            await connection.send(request)
            head = await connection.head(request)
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(connection, request, self._idle),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def aclose(self) -> None:
        """Close what is open."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)


class _StaleError(httpx.RemoteProtocolError):
    """A connection that was used before broke before a byte of the answer came."""


class _Connection:
    def __init__(
        self, origin: tuple[str, str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._origin, self._reader, self._writer = origin, reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._used, self._until = False, 0.0

    def usable(self, origin: tuple[str, str, int]) -> bool:
        """Whether a request to there can go over it."""
        return origin == self._origin and not self._reader.at_eof() and time.monotonic() < self._until

    async def send(self, request: httpx.Request) -> None:
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        self._writer.write(self._http.send(head) or b"")
        async for piece in cast("httpx.AsyncByteStream", request.stream):
            self._writer.write(self._http.send(h11.Data(data=piece)) or b"")
        self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
        try:
            await self._writer.drain()
        except OSError as error:
            raise self._broken(error, request) from error

    async def head(self, request: httpx.Request) -> h11.Response:
        while True:
            event = await self.event(request)
            if isinstance(event, h11.Response):
                return event

    async def event(self, request: httpx.Request) -> object:
        """The next part of an answer."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await _within(self._reader.read(READ), request, "read")
                if not data and self._http.their_state is h11.SEND_RESPONSE:
                    raise self._broken(None, request)
                self._http.receive_data(data)
        except asyncio.TimeoutError as error:
            raise httpx.ReadTimeout("the answer took too long", request=request) from error
        except OSError as error:
            raise self._broken(error, request) from error
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        return event

    def _broken(self, error: OSError | None, request: httpx.Request) -> httpx.TransportError:
        if self._used and self._http.their_state is h11.SEND_RESPONSE:
            return _StaleError("closed while idle", request=request)
        if error is None:
            return httpx.RemoteProtocolError("closed without an answer", request=request)
        return httpx.ReadError(str(error), request=request)

    def done(self) -> bool:
        """Make ready for another request; whether that is possible."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._used, self._until = True, time.monotonic() + KEPT
        return True

    def close(self) -> None:
        self._writer.transport.abort()  # nothing is left to be sent, and no farewell of TLS is waited for


class _Body(httpx.AsyncByteStream):
    """The rest of an answer; read to its end, its connection is kept."""

    def __init__(self, connection: _Connection, request: httpx.Request, idle: list[_Connection]) -> None:
        self._connection, self._request, self._idle = connection, request, idle

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._connection.event(self._request), h11.Data):
            yield bytes(event.data)

    async def aclose(self) -> None:
        if self._connection.done():
            self._idle.append(self._connection)
        else:
            self._connection.close()


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


async def _within(act: Awaitable[T], request: httpx.Request, what: str) -> T:
    """Wait as long as the request's timeout for this allows; none where there is none."""
    return await asyncio.wait_for(act, request.extensions.get("timeout", {}).get(what))
