"""As much of a WebSocket client (RFC 6455) as a browser's DevTools need: text frames over a plain socket."""

from __future__ import annotations

import base64
import os
import socket
from urllib.parse import urlsplit

TEXT, CLOSE, PING = 1, 8, 9


class WebSocket:
    """One connection. Messages are whole texts; OSError when the other side has gone or says nothing in time."""

    def __init__(self, url: str, *, timeout: float = 20.0) -> None:
        """Connect.

        Args:
            url: ws://HOST:PORT/PATH.
            timeout: seconds to wait for anything.
        """
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname or "", where.port or 80), timeout)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if b" 101 " not in self._file.readline():
            raise ConnectionError(f"{url} is no WebSocket")
        while self._file.readline().strip():
            pass

    def send(self, text: str) -> None:
        """Send one message."""
        self._send(TEXT, text.encode())

    def _send(self, kind: int, data: bytes) -> None:
        size = len(data)
        head = bytes((0x80 | kind,))
        if size < 126:
            head += bytes((0x80 | size,))
        else:
            head += bytes((0x80 | 127,)) + size.to_bytes(8, "big")
        self._socket.sendall(head + b"\0\0\0\0" + data)  # a mask of zeros: nothing between us is to be confused

    def receive(self) -> str:
        """The next message."""
        parts = b""
        while True:
            first, second = self._read(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
            data = self._read(size)
            kind = first & 0x0F
            if kind == CLOSE:
                raise ConnectionError("the browser has closed the connection")
            if kind == PING:
                self._send(10, data)
            else:
                parts += data
                if first & 0x80:
                    return parts.decode()

    def _read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ConnectionError("the browser has gone")
        return data

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()
