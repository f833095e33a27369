"""The HTTP server over real sockets: what each good and bad client gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from forgediag.http import Limits, Request, Response, Server, serve

Client = Callable[[Server], Awaitable[bytes]]


async def echo(request: Request) -> Response:
    await asyncio.sleep(0)
    text = f"{request.method} {request.path} {dict(request.query)} {len(request.body)}"
    return Response(200, {"x-body": str(len(request.body))}, text.encode())


def hello(request: Request) -> Response:
    return Response(200, {"content-type": "text/plain"}, f"hello {request.path}".encode())


def talk(handler: Callable[[Request], Response | Awaitable[Response]], client: Client, **limits: float) -> bytes:
    async def act() -> bytes:
        chosen = Limits(**limits)  # type: ignore[arg-type] # whole numbers are floats here
        server = await serve(handler, "127.0.0.1", 0, limits=chosen)
        try:
            return await asyncio.wait_for(client(server), 10)
        finally:
            await server.close()

    return asyncio.run(act())


def sends(*parts: bytes, pause: float = 0.0, eof: bool = True) -> Client:
    """A client that sends the parts and reads until the server closes."""

    async def act(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            if eof and not reader.at_eof():
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b"reset"
        finally:
            await hang_up(writer)

    return act


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


GET = b"GET /a%20b?x=1&y= HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def test_a_path_is_decoded_and_its_query_apart() -> None:
    assert b"GET /a b {'x': '1', 'y': ''} 0" in talk(echo, sends(GET))


def test_requests_on_one_connection_are_answered_in_order() -> None:
    answer = talk(hello, sends(GET + GET + LAST))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.endswith(b"hello /last")


def test_requests_behind_a_slow_answer_wait_for_their_turn() -> None:
    answer = talk(echo, sends(GET, GET + LAST))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.endswith(b"GET /last {} 0")


def test_the_same_request_again_is_handled_once_each_time_with_its_own_answer() -> None:
    calls: list[str] = []

    def count(request: Request) -> Response:
        calls.append(request.path)
        return Response(200, {}, f"call {len(calls)}".encode())

    answer = talk(count, sends(GET, GET, GET, LAST, pause=0.02))
    assert [b"call %d" % number in answer for number in (1, 2, 3, 4)] == [True] * 4
    assert len(calls) == 4


def test_a_later_answer_to_the_same_request_is_awaited() -> None:
    answers: list[Response] = [Response(200, {}, b"at once"), Response(200, {}, b"later")]

    async def later() -> Response:
        await asyncio.sleep(0)
        return answers[1]

    replies: list[Response | Awaitable[Response]] = [answers[0], later(), answers[0]]
    answer = talk(lambda _: replies.pop(0), sends(GET, GET, LAST, pause=0.02))
    assert answer.index(b"at once") < answer.index(b"later") < answer.rindex(b"at once")


def test_an_unchanged_answer_to_the_same_request_is_sent_again() -> None:
    same = Response(200, {}, b"the same")
    assert talk(lambda _: same, sends(GET, GET, GET, LAST, pause=0.02)).count(b"the same") == 4


def test_two_requests_in_one_write_are_both_answered_every_time() -> None:
    same = Response(200, {}, b"the same")
    assert talk(lambda _: same, sends(GET + GET, GET + GET, LAST, pause=0.02)).count(b"the same") == 5


def test_a_head_gets_the_length_and_no_body() -> None:
    answer = talk(hello, sends(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
    assert b"content-length: 7\r\n" in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


def test_http_1_0_is_answered_and_closed() -> None:
    assert talk(hello, sends(b"GET / HTTP/1.0\r\n\r\n", eof=False)).endswith(b"hello /")


def test_a_body_comes_whole_by_length_or_in_chunks() -> None:
    by_length = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab"
    assert b"x-body: 4" in talk(echo, sends(by_length, b"cd"))
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert b"x-body: 3" in talk(echo, sends(chunked))


def test_a_client_that_waits_to_send_its_body_is_told_to() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    answer = talk(echo, sends(head, b"ab", pause=0.05))
    assert answer.startswith(b"HTTP/1.1 100")
    assert b"x-body: 2" in answer


def test_an_iterator_is_streamed_in_chunks() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"two"):
            yield part

    answer = talk(lambda _: Response(200, {}, parts()), sends(LAST))
    assert b"transfer-encoding: chunked" in answer.lower()
    assert b"3\r\none\r\n3\r\ntwo\r\n0\r\n" in answer


def test_a_head_of_a_stream_has_no_body() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"never"

    request = b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert b"never" not in talk(lambda _: Response(200, {}, parts()), sends(request))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET //[ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /?" + b"&".join(b"a=1" for _ in range(200)) + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 3000, 413),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 3000, 413),
    ],
)
def test_a_bad_request_is_refused_in_a_word(raw: bytes, status: int) -> None:
    answer = talk(hello, sends(raw, eof=False), body_bytes=2000)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.partition(b"\r\n\r\n")[2].count(b"\n") == 1
    assert b"x-content-type-options: nosniff" in answer


def test_a_handler_that_fails_says_so_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: Request) -> Response:
        raise ValueError("secret " + request.path)

    async def fails_later(request: Request) -> Response:
        return fails(request)

    with caplog.at_level(logging.CRITICAL):
        for handler in (fails, fails_later):
            answer = talk(handler, sends(LAST))
            assert answer.startswith(b"HTTP/1.1 500 ")
            assert b"secret" not in answer


def test_a_handler_with_headers_that_are_not_http_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    answer = talk(lambda _: Response(200, {"x": "a\r\nb"}), sends(LAST))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert "a handler's headers are not HTTP" in caplog.text


def test_a_stream_that_fails_is_cut_off_so_that_no_client_takes_it_for_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("broken")

    answer = talk(lambda _: Response(200, {}, parts()), sends(LAST, eof=False))
    assert b"0\r\n\r\n" not in answer
    assert "broken" in caplog.text


def test_a_handler_that_raises_a_connection_error_hangs_up(caplog: pytest.LogCaptureFixture) -> None:
    def now(request: Request) -> Response:
        raise ConnectionResetError

    async def later(request: Request) -> Response:
        raise ConnectionResetError

    for handler in (now, later):
        assert talk(handler, sends(LAST, eof=False)) in {b"", b"reset"}
    assert not caplog.records


def test_a_path_that_climbs_reaches_the_handler_as_it_is() -> None:
    request = b"GET /../..%2fetc/passwd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert talk(hello, sends(request)).endswith(b"hello /../../etc/passwd")


def test_ipv6_is_served_and_its_url_has_brackets() -> None:
    async def act() -> str:
        server = await serve(hello, "::1", 0)
        url = server.url
        reader, writer = await asyncio.open_connection("::1", server.port)
        writer.write(LAST)
        assert (await reader.read()).endswith(b"hello /last")
        await hang_up(writer)
        await server.close()
        return url

    assert asyncio.run(act()).startswith("http://[::1]:")


def test_a_request_that_drips_is_cut_off_after_its_time() -> None:
    answer = talk(hello, sends(*[b"G", b"E", b"T", b" ", b"/"] * 10, pause=0.05, eof=False), read_seconds=0.2)
    assert answer in {b"reset"} or b"408" in answer.split(b"\r\n", maxsplit=1)[0]


def test_a_silent_connection_is_closed() -> None:
    assert talk(hello, sends(eof=False), idle_seconds=0.1) == b""


def test_of_too_many_connections_the_longest_silent_one_makes_room() -> None:
    async def client(server: Server) -> bytes:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        answer = await sends(LAST)(server)
        assert await held[0][0].read() == b""
        held[1][1].write(LAST)
        assert b"hello /last" in await held[1][0].read()
        for _, writer in held:
            await hang_up(writer)
        return answer

    assert talk(hello, client, connections=2).endswith(b"hello /last")


def test_a_client_is_turned_away_when_all_others_are_being_answered() -> None:
    async def client(server: Server) -> bytes:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        for _, writer in held:
            writer.write(GET)
        await asyncio.sleep(0.05)
        answer = await sends(eof=False)(server)
        for _, writer in held:
            await hang_up(writer)
        return answer

    async def slow(_: Request) -> Response:
        await asyncio.sleep(1)
        return Response(200)

    assert talk(slow, client, connections=2).startswith(b"HTTP/1.1 503 ")


def test_who_pipelines_without_reading_does_not_fill_the_memory_and_is_dropped() -> None:
    handled: list[str] = []

    def big(request: Request) -> Response:
        handled.append(request.path)
        return Response(200, {}, b"x" * 100_000)

    async def client(server: Server) -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(GET * 1000)
        await asyncio.sleep(0.6)
        assert len(handled) < 200
        assert len(server.crowd) == 0
        await hang_up(writer)
        return b"dropped"

    assert talk(big, client, write_seconds=0.3) == b"dropped"


def test_who_reads_slowly_gets_every_pipelined_answer() -> None:
    async def client(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(GET * 100 + LAST)
        await asyncio.sleep(0.2)
        answer = await reader.read()
        await hang_up(writer)
        return answer

    answer = talk(lambda request: Response(200, {}, request.path.encode() + b"x" * 100_000), client)
    assert answer.count(b"HTTP/1.1 200") == 101


def test_a_length_of_many_digits_is_refused() -> None:
    request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
    assert talk(hello, sends(request, eof=False)).split(b" ")[1] in {b"400", b"413"}


def test_a_thousand_connections_are_served_one_after_the_other() -> None:
    async def client(server: Server) -> bytes:
        answers = [await sends(LAST)(server) for _ in range(1000)]
        return answers[-1] if all(answers) else b""

    assert talk(hello, client).endswith(b"hello /last")


def test_closing_drops_open_connections_at_once() -> None:
    async def client(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.05)
        await server.close()
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            await hang_up(writer)

    assert talk(hello, client) == b""


def test_a_slow_reader_holds_back_the_stream() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 100_000

    async def client(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(LAST)
        await asyncio.sleep(0.2)
        answer = await reader.read()
        await hang_up(writer)
        return answer

    assert len(talk(lambda _: Response(200, {}, parts()), client)) > 6_400_000


def test_a_taken_port_is_an_os_error() -> None:
    async def act() -> None:
        server = await serve(hello, "127.0.0.1", 0)
        with pytest.raises(OSError, match=r"address|in use"):
            await serve(hello, "127.0.0.1", server.port)
        await server.close()
        with pytest.raises(RuntimeError):
            _ = server.url

    asyncio.run(act())


def test_a_server_knows_its_url() -> None:
    async def act() -> str:
        server = await serve(hello, "127.0.0.1", 0)
        url = server.url
        await server.close()
        return url

    assert asyncio.run(act()).startswith("http://127.0.0.1:")
