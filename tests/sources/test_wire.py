"""HTTP/1.1 over asyncio's streams, against a server that says exactly what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx
import pytest

from forgediag.sources.wire import Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhi\r\n4\r\n you\r\n0\r\n\r\n"
)
SHUT = b""


class Scripted:
    """A server that gives these answers in turn, whatever is asked; `SHUT` closes the connection instead."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            self.asked.append(head + await reader.readexactly(length))
            answer = self.answers.pop(0)
            writer.write(answer)
            if answer is SHUT or b"Connection: close" in answer:
                writer.close()
                return


Ask = Callable[[httpx.AsyncClient], Awaitable[object]]


def run(server: Scripted, *asks: Ask, url: str = "http://127.0.0.1:{}") -> list[object]:
    """What each question got: its result or its exception."""

    async def act() -> list[object]:
        async with await asyncio.start_server(_quietly(server), "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            wire = Wire(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            async with httpx.AsyncClient(
                transport=wire, base_url=url.format(port), trust_env=False, timeout=0.3
            ) as client:
                results = [await _result(ask, client) for ask in asks]
            for writer in server.writers:
                writer.transport.abort()
            await asyncio.sleep(0.01)
            return results

    return asyncio.run(act())


def _quietly(server: Scripted) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await server.serve(reader, writer)

    return serve


async def _result(ask: Ask, client: httpx.AsyncClient) -> object:
    try:
        return await ask(client)
    except httpx.TransportError as error:
        return type(error)


async def get(client: httpx.AsyncClient) -> tuple[int, str]:
    response = await client.get("/a?b=c")
    return response.status_code, response.text


async def post(client: httpx.AsyncClient) -> str:
    return (await client.post("/a", json={"b": 1})).text


async def peek(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", "/a") as response:
        return response.status_code


async def wait(_: httpx.AsyncClient) -> None:
    await asyncio.sleep(0.05)


def test_one_connection_serves_many_requests() -> None:
    server = Scripted(OK, CHUNKED, OK)

    assert run(server, get, get, post) == [(200, "hi"), (200, "hi you"), "hi"]
    assert server.connections == 1
    assert server.asked[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert server.asked[2].endswith(b'{"b":1}')


def test_a_connection_closed_while_idle_is_no_failure() -> None:
    server = Scripted(OK, SHUT, OK, OK)

    assert run(server, get, get) == [(200, "hi"), (200, "hi")]
    assert server.connections == 2


def test_a_connection_seen_closed_is_not_used_again() -> None:
    server = Scripted(OK, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), OK)

    assert run(server, get, get, wait, get) == [(200, "hi"), (200, "hi"), None, (200, "hi")]
    assert server.connections == 2


def test_an_answer_not_read_to_its_end_costs_its_connection() -> None:
    server = Scripted(OK[:-1], OK)

    assert run(server, peek, get) == [200, (200, "hi")]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([SHUT], httpx.RemoteProtocolError),
        ([OK[:-1]], httpx.ReadTimeout),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], httpx.RemoteProtocolError),
        ([OK.replace(b"2\r\n\r\nhi", b"9\r\nConnection: close\r\n\r\nhi")], httpx.RemoteProtocolError),
    ],
    ids=["nothing", "half and silence", "not HTTP", "half and closed"],
)
def test_what_goes_wrong_has_httpx_names(answers: Sequence[bytes], error: type[Exception]) -> None:
    assert run(Scripted(*answers), get) == [error]


def test_nobody_listens() -> None:
    assert run(Scripted(), get, url="http://127.0.0.1:1") == [httpx.ConnectError]


def test_a_plain_server_is_no_https_server() -> None:
    assert run(Scripted(), get, url="https://127.0.0.1:{}")[0] in {httpx.ConnectError, httpx.ConnectTimeout}


def test_a_connection_of_another_origin_is_not_used() -> None:
    server = Scripted(OK, OK)

    async def elsewhere(client: httpx.AsyncClient) -> int:
        return (await client.get(str(client.base_url).replace("127.0.0.1", "127.1"))).status_code

    assert run(server, get, elsewhere) == [(200, "hi"), 200]
    assert server.connections == 2
