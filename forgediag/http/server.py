"""Listening: a server that answers with a handler, survives a crowd, and closes within a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from forgediag.http.connection import Connection
from forgediag.http.crowd import Crowd
from forgediag.http.message import Handler, Limits

Tls = Callable[[], ssl.SSLContext | None]
"""The TLS settings for the next connection; None: in clear."""

BACKLOG = 512
PAUSE = 0.1
"""Seconds without accepting when the process has no file descriptor left."""

log = logging.getLogger(__name__)


class Server:
    """A listening server. `port` is the real one when 0 was asked for.

    It accepts by itself, for asyncio's own server counts a TLS client only after its handshake and takes one context
    for all: here half-open handshakes are bounded too, and a new certificate is used from the next connection on.
    """

    def __init__(self, handler: Handler, limits: Limits, tls: Tls) -> None:
        self.handler = handler
        self.limits = limits
        self.crowd = Crowd(limits.connections)
        self._tls = tls
        self._listeners: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._greeting: dict[asyncio.Task[None], None] = {}

    async def listen(self, host: str, port: int) -> None:
        """Start to accept.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._listeners = await _bind(host, port)
        self._accepting = [asyncio.ensure_future(self._accept(listener)) for listener in self._listeners]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:  # EMFILE, or a client that was gone before it was let in
                log.debug("not accepted: %s", error)
                self.crowd.make_room()
                await asyncio.sleep(PAUSE)
                continue
            if len(self._greeting) >= self.limits.connections:
                next(iter(self._greeting)).cancel()
            task = asyncio.ensure_future(self._greet(client))
            self._greeting[task] = None
            task.add_done_callback(lambda done: self._greeting.pop(done, None))
            await asyncio.sleep(0)  # a flood of clients must not keep those already here from their answers

    async def _greet(self, client: socket.socket) -> None:
        tls = self._tls()
        wait = self.limits.handshake_seconds if tls else None
        loop = asyncio.get_running_loop()
        try:
            client.settimeout(0)
            await loop.connect_accepted_socket(self._connection, client, ssl=tls, ssl_handshake_timeout=wait)
        except OSError as error:
            log.debug("no connection: %s", error)
            client.close()

    def _connection(self) -> Connection:
        return Connection(self.handler, self.limits, self.crowd)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port listened on."""
        if not self._listeners:
            raise RuntimeError("the server does not listen")
        host, port = self._listeners[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def port(self) -> int:
        """The port listened on."""
        return self.address[1]

    @property
    def url(self) -> str:
        """The server's address as a URL without a path."""
        host, port = self.address
        scheme = "https" if self._tls() else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """Stop accepting and drop every connection."""
        tasks = [*self._accepting, *self._greeting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        self.crowd.clear()
        await asyncio.sleep(0)
        self._listeners, self._accepting = [], []


async def _bind(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of a host; IPv6 ones take no IPv4, so that both can be had."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as opened:
        listeners: list[socket.socket] = []
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            listener = opened.enter_context(socket.create_server(address[:2], family=family, backlog=BACKLOG))
            listener.settimeout(0)
            listeners.append(listener)
        opened.pop_all()
    return listeners


async def serve(
    handler: Handler, host: str, port: int, *, limits: Limits | None = None, tls: Tls = lambda: None
) -> Server:
    """Serve `handler` on an address (port 0: any free one).

    A handler that returns a Response without awaiting is answered in the same turn of the event loop. One that raises
    ConnectionError, or a body that does, hangs up on the client; any other exception is a 500, told in the log only.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = Server(handler, limits or Limits(), tls)
    await server.listen(host, port)
    return server
