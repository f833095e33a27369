"""One client's connection: h11 parses, a handler answers, head and body leave in one write."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import h11

from forgediag.http.crowd import Crowd
from forgediag.http.head import refusal, whole_request
from forgediag.http.message import SAFE, Handler, Limits, Request, Response

LINGER = 1.0
"""Seconds for which what a refused client goes on sending is dropped."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One whole request as it came and what was sent for it."""

    received: bytes
    request: Request
    response: Response
    sent: bytes


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, pipelined ones kept until their turn."""

    def __init__(self, handler: Handler, limits: Limits, crowd: Crowd) -> None:
        """Wait for a client.

        Args:
            handler: answers requests.
            limits: what the client may ask.
            crowd: all of the server's connections; this one adds and removes itself.
        """
        self._handler, self._limits, self._crowd = handler, limits, crowd
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._reading = False
        self._memo: _Exchange | None = None
        self._received = b""
        self._client = ""
        self._refused = False
        self._ready: Response | Awaitable[Response] | None = None
        self._drained = asyncio.Event()
        self._drained.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client, or turn it away when there are too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server makes no other
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        if not self._crowd.join(self, self._client):
            self._refuse(503, "too many connections")
            self._close()
            return
        self._wait(self._limits.idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget a client."""
        self._crowd.leave(self)
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()
        self._drained.set()

    @property
    def busy(self) -> bool:
        """Whether a handler works on an answer."""
        return self._task is not None

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client reads slowly: nothing more is taken from it until it has caught up."""
        self._drained.clear()
        self._wait(self._limits.write_seconds)
        if self._transport:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._drained.set()
        if self._task is None and self._transport and not self._transport.is_closing():
            self._wait(self._limits.idle_seconds)
            self._transport.resume_reading()
            self._proceed()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and answer what is whole."""
        if self._refused or self._repeat(data):
            return
        self._received = b"" if self._reading else data
        if not self._reading:
            self._reading = True
            self._wait(self._limits.read_seconds)
        self._protocol.receive_data(data)
        if self._task is not None and self._transport:  # pipelined behind a slow answer: let TCP hold the rest
            self._transport.pause_reading()
        self._proceed()

    def _repeat(self, data: bytes) -> bool:
        """Answer a request that equals the last one to the byte, with bytes that were sent before.

        Prometheus sends the same bytes for each scrape over one connection, and between two reports the answer is the
        same too: the parser would come to the same result and is not asked (65 µs against 6).
        """
        memo = self._memo
        if memo is None or self._reading or self._task is not None or data != memo.received:
            return False
        response = self._handled(memo.request)
        if response is not memo.response:
            self._ready = response  # asked once: the parser goes on with what the handler has said
            return False
        self._wait(self._limits.idle_seconds)
        self._crowd.heard(self)
        self._write(memo.sent)
        return True

    def eof_received(self) -> bool:
        """The client sends no more; it may still read."""
        if self._refused:
            return False
        self._protocol.receive_data(b"")
        self._proceed()
        return self._task is not None

    def _wait(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        if self._refused or not self._drained.is_set():
            self.abort()
        elif self._reading and self._task is None:
            self._refuse(408, "the request took too long")
        elif self._task is None:
            self._close()

    def _proceed(self) -> None:
        try:
            while self._ready_for_more():
                event = self._protocol.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "this is no HTTP request that can be served")

    def _ready_for_more(self) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        return self._task is None and self._drained.is_set() and not self._refused

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._request = event
            if (reason := refusal(event, self._limits)) is not None:
                self._refuse(*reason)
            elif self._protocol.they_are_waiting_for_100_continue:
                self._write(self._protocol.send(h11.InformationalResponse(status_code=100, headers=[])))
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limits.body_bytes:
                self._refuse(413, f"a body may have {self._limits.body_bytes} bytes")
        elif isinstance(event, h11.EndOfMessage):
            self._answer()
        elif isinstance(event, h11.ConnectionClosed):
            self._close()

    def _answer(self) -> None:
        head = self._request
        request = whole_request(head, bytes(self._body), self._client) if head else None
        if request is None:
            self._refuse(400, "the request target is not valid")
            return
        response, self._ready = self._ready or self._handled(request), None
        received, self._received = self._received, b""  # of two requests in one read neither is all of it
        if isinstance(response, Response) and isinstance(response.body, bytes):
            sent = self._send(response, response.body)
            self._next()
            kept = self._protocol.our_state is h11.IDLE and not self._protocol.trailing_data[0]
            self._memo = _Exchange(received, request, response, sent) if kept and received else None
        else:
            self._task = asyncio.ensure_future(self._answer_later(response))

    def _handled(self, request: Request) -> Response | Awaitable[Response]:
        try:
            return self._handler(request)
        except ConnectionError:
            self.abort()
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
        return _FAILED

    async def _answer_later(self, response: Response | Awaitable[Response]) -> None:
        try:
            if inspect.isawaitable(response):
                response = await response
            assert isinstance(response, Response)  # noqa: S101 - the handler's type says so
            if isinstance(response.body, bytes):
                self._send(response, response.body)
            else:
                await self._stream(response, response.body)
        except ConnectionError:
            self.abort()
        except Exception:
            log.exception("a request failed")
            if self._protocol.our_state is h11.SEND_BODY:  # too late for a status
                self.abort()
            else:
                self._send(_FAILED, _FAILED_TEXT)
        self._task = None
        self._next()
        if self._ready_for_more() and self._transport:
            self._transport.resume_reading()
        self._proceed()

    async def _stream(self, response: Response, parts: AsyncIterator[bytes]) -> None:
        self._write(self._protocol.send(self._head(response, None)))
        if self._request is None or self._request.method != b"HEAD":
            async for part in parts:
                await self._drained.wait()
                self._write(self._protocol.send(h11.Data(data=part)))
        self._write(self._protocol.send(h11.EndOfMessage()))

    def _head(self, response: Response, length: int | None) -> h11.Response:
        headers = [*response.headers.items()]
        if length is not None:
            headers.append(("content-length", str(length)))
        return h11.Response(status_code=response.status, headers=headers)

    def _send(self, response: Response, body: bytes) -> bytes:
        """Head and body in one write: two would wait for each other's acknowledgement (Nagle, delayed ACK)."""
        try:
            head = self._head(response, len(body))
        except h11.LocalProtocolError:
            log.exception("a handler's headers are not HTTP")
            response, body = _FAILED, _FAILED_TEXT
            head = self._head(response, len(body))
        data = self._protocol.send(head) or b""
        if self._request is None or self._request.method != b"HEAD":
            data += self._protocol.send(h11.Data(data=body)) or b""
        data += self._protocol.send(h11.EndOfMessage()) or b""
        self._write(data)
        return data

    def _write(self, data: bytes | None) -> None:
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _next(self) -> None:
        self._request = None
        self._body.clear()
        self._reading = False
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
            self._crowd.heard(self)
            if self._drained.is_set():
                self._wait(self._limits.idle_seconds)
        else:
            self._close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer in a word, drop what else comes for a moment, and close: with bytes unread, that would be a reset."""
        if self._protocol.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            head = {**SAFE, "content-type": "text/plain; charset=utf-8", "connection": "close"}
            self._request = None
            self._send(Response(status, head), f"{reason}\n".encode())
        self._refused = True
        if self._transport and not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._wait(LINGER)

    def _close(self) -> None:
        if self._transport:
            self._transport.close()


_FAILED_TEXT = b"this failed; the log says why\n"
_FAILED = Response(500, {**SAFE, "content-type": "text/plain; charset=utf-8"}, _FAILED_TEXT)
