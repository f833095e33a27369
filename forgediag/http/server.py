"""Listening: a server that answers with a handler, and closes within a second."""

from __future__ import annotations

import asyncio
import ssl

from forgediag.http.connection import Connection
from forgediag.http.message import Handler, Limits


class Server:
    """A listening server. `port` is the real one when 0 was asked for."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._scheme = "http"

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Start to accept.

        Raises:
            OSError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._scheme = "https" if tls else "http"
        self._server = await loop.create_server(self._connect, host, port, ssl=tls, backlog=128)

    def _connect(self) -> Connection:
        return Connection(self.handler, self.limits, self.connections)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port listened on."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the server does not listen")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def port(self) -> int:
        """The port listened on."""
        return self.address[1]

    @property
    def url(self) -> str:
        """The server's address as a URL without a path."""
        host, port = self.address
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """Stop accepting and drop every connection."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self.connections):
                connection.abort()
            await asyncio.sleep(0)
            self._server = None


async def serve(
    handler: Handler, host: str, port: int, *, limits: Limits | None = None, tls: ssl.SSLContext | None = None
) -> Server:
    """Serve `handler` on an address (port 0: any free one).

    A handler that returns a Response without awaiting is answered in the same turn of the event loop. One that raises
    ConnectionError, or a body that does, hangs up on the client; any other exception is a 500, told in the log only.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = Server(handler, limits or Limits())
    await server.listen(host, port, tls)
    return server
