"""TLS over real sockets: whose certificate is taken, and a new one without dropping who is connected."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from forgediag.http import Limits, Request, Response, Server, serve
from forgediag.sources.wire import Wire
from forgediag.web_config import WebConfigFile

if TYPE_CHECKING:
    from tests.web.conftest import Certificates, Write

TLS = ("tls_server_config:", "  cert_file: server.pem", "  key_file: server.key")
MUTUAL = ("  client_auth_type: RequireAndVerifyClientCert", "  client_ca_file: ca.pem")
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hello(_: Request) -> Response:
    return Response(200, {}, b"hello")


def talk(path: Path, client: Callable[[Server], Awaitable[bytes]]) -> bytes:
    async def act() -> bytes:
        file = WebConfigFile(str(path))
        limits = Limits(handshake_seconds=0.3, connections=4)
        server = await serve(hello, "127.0.0.1", 0, limits=limits, tls=lambda: file.current().tls)
        try:
            assert server.url.startswith("https://")
            return await asyncio.wait_for(client(server), 10)
        finally:
            await server.close()

    return asyncio.run(act())


def trusting(certificates: Certificates, client: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.folder / "ca.pem"))
    if client:
        context.load_cert_chain(*certificates.make(client))
    return context


async def ask(server: Server, context: ssl.SSLContext) -> bytes:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.write(GET)
        answer = await reader.read(1000)
        writer.close()
    except (ssl.SSLError, ConnectionError) as error:
        return f"refused: {error}".encode()
    return answer


def test_an_answer_comes_over_tls(write: Write, certificates: Certificates) -> None:
    context = trusting(certificates)
    assert talk(write(*TLS), lambda server: ask(server, context)).endswith(b"hello")


def test_only_a_client_with_a_certificate_of_the_authority_is_answered(
    write: Write, certificates: Certificates
) -> None:
    path = write(*TLS, *MUTUAL)
    known, unknown = trusting(certificates, "prometheus"), trusting(certificates)
    assert talk(path, lambda server: ask(server, known)).endswith(b"hello")
    assert b"hello" not in talk(path, lambda server: ask(server, unknown))


def test_an_old_tls_and_plain_http_get_nothing_and_the_server_goes_on(write: Write, certificates: Certificates) -> None:
    old, good = trusting(certificates), trusting(certificates)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def act(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        assert b"hello" not in await reader.read(1000)
        writer.close()
        assert b"hello" not in await ask(server, old)
        return await ask(server, good)

    assert talk(write(*TLS, "  min_version: TLS13"), act).endswith(b"hello")


def test_handshakes_that_never_come_keep_nobody_out(write: Write, certificates: Certificates) -> None:
    context = trusting(certificates)

    async def act(server: Server) -> bytes:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        answer = await ask(server, context)
        assert len(server._greeting) <= 4
        ends = [await reader.read() for reader, _ in silent]
        assert set(ends) == {b""}
        for _, writer in silent:
            writer.close()
        return answer

    assert talk(write(*TLS), act).endswith(b"hello")


def test_a_new_certificate_is_shown_from_the_next_connection_on_and_open_ones_stay(
    write: Write, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgediag.web_config.LOOK_EVERY", 0.0)
    context = trusting(certificates)
    shown: list[bytes | None] = []

    async def opened(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        shown.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        return reader, writer

    async def act(server: Server) -> bytes:
        reader, first = await opened(server)
        certificate, _ = certificates.make("server")
        os.utime(certificate, ns=(1, 1))
        _, second = await opened(server)
        first.write(GET)
        answer = await reader.read(1000)
        first.close()
        second.close()
        return answer

    assert talk(write(*TLS), act).endswith(b"hello")
    assert shown[0] != shown[1]


def test_a_forge_behind_tls_is_asked_and_one_of_unknown_authority_is_not(
    write: Write, certificates: Certificates
) -> None:
    async def poll(server: Server, trust: ssl.SSLContext) -> bytes:
        async with httpx.AsyncClient(transport=Wire(trust), trust_env=False) as client:
            try:
                return (await client.get(f"https://localhost:{server.port}/")).content
            except httpx.ConnectError as error:
                return f"refused: {error}".encode()

    path = write(*TLS)
    assert talk(path, lambda server: poll(server, trusting(certificates))) == b"hello"
    assert b"certificate verify failed" in talk(path, lambda server: poll(server, ssl.create_default_context()))
