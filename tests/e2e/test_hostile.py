"""What bad clients get from a real daemon, and that it goes on answering good ones. `pytest -s` prints the table."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psutil
import pytest

from forgediag.testing.forge import ForgeThread

if TYPE_CHECKING:
    from tests.e2e.conftest import Running, Start

HOST = b"Host: localhost\r\n"
END = b"Connection: close\r\n\r\n"


def get(path: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%s %s %s\r\n" % (method, path, version) + HOST + b"".join(line + b"\r\n" for line in headers) + END


CASES = [
    ("traversal", get(b"/../../etc/passwd"), 404),
    ("traversal, encoded", get(b"/%2e%2e/%2e%2e/etc/passwd"), 404),
    ("traversal below a page", get(b"/api/v1/..%2f..%2fetc/passwd"), 404),
    ("NUL in the path", get(b"/metrics%00.html"), 404),
    ("unknown path", get(b"/nope"), 404),
    ("header of 1 MB", get(b"/metrics", b"X: " + b"x" * 1_000_000), 431),
    ("1,000 headers", get(b"/metrics", *[b"X-%d: %s" % (n, b"x" * 20) for n in range(1000)]), 431),
    ("request line of 100 KB", get(b"/" + b"a" * 100_000), 431),
    ("a header in two lines", get(b"/metrics", b"X: a", b" b"), 200),
    ("gzip: nonsense", get(b"/metrics", b"Accept-Encoding: gzip;q=banana, ;;;=,\xff"), 200),
    ("gzip: q=0", get(b"/metrics", b"Accept-Encoding: gzip;q=0"), 200),
    ("Accept: nonsense", get(b"/metrics", b"Accept: ,,;q=,a/b/c;q=9e999"), 200),
    ("POST", get(b"/metrics", b"Content-Length: 2", method=b"POST") + b"ab", 405),
    ("PUT, 5 MB announced", get(b"/metrics", b"Content-Length: 5000000", method=b"PUT"), 413),
    ("DELETE", get(b"/api/v1/options", method=b"DELETE"), 405),
    ("CONNECT", get(b"example.com:443", method=b"CONNECT"), 405),
    ("TRACE", get(b"/", method=b"TRACE"), 405),
    ("length and chunks at once", get(b"/", b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    ("two lengths", get(b"/", b"Content-Length: 1", b"Content-Length: 2"), 400),
    ("HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("foreign Host", b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n" + END, 421),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n", 400),
    ("another target", get(b"/probe?target=http://169.254.169.254/latest"), 400),
]


def tell(name: str, got: object) -> None:
    print(f"{name:28} {got}")


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent
            client.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65536):
                answer += part
        return answer


@pytest.fixture(scope="module")
def forge() -> Iterator[ForgeThread]:
    with ForgeThread() as running:
        yield running


@pytest.fixture
def daemon(start: Start, forge: ForgeThread) -> Running:
    return start("--forge", forge.url)


def test_every_bad_request_is_answered_in_a_word_and_the_daemon_goes_on(daemon: Running) -> None:
    tell("request", "answer")
    wrong: list[str] = []
    for name, request, status in CASES:
        answer = exchange(daemon.port, request)
        line, _, body = answer.partition(b"\r\n")
        tell(
            name,
            (line + b" " + body.rpartition(b"\r\n\r\n")[2][:60].splitlines()[0]).decode("latin-1") if line else "-",
        )
        if not answer.startswith(b"HTTP/1.1 %d " % status) or b"nosniff" not in answer:
            wrong.append(f"{name}: {line!r}")
    assert wrong == []
    assert daemon.get("/metrics").status_code == 200
    assert "Traceback" not in daemon.log.read_text("utf-8")


def test_pipelined_requests_are_answered_in_order(daemon: Running) -> None:
    keep = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = exchange(daemon.port, keep * 50 + get(b"/nope"))
    tell("51 pipelined", f"{answer.count(b'HTTP/1.1 200 ')} x 200, {answer.count(b'HTTP/1.1 404 ')} x 404")
    assert answer.count(b"HTTP/1.1 200 ") == 50
    assert answer.rindex(b"HTTP/1.1 404 ") > answer.rindex(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_who_sends_a_byte_a_second_is_cut_off_after_ten(daemon: Running) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", daemon.port), 20) as client:
        client.settimeout(1)
        answer = b""
        for byte in b"GET /metrics HTTP/1.1\r\nHost: ":
            client.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                answer = client.recv(1000)
                break
    seconds = time.monotonic() - started
    tell("slow loris, 1 byte a second", f"{answer.splitlines()[0].decode()} after {seconds:.1f} s")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 9 < seconds < 12


def flood(port: int, count: int, each: Callable[[int, socket.socket], None]) -> list[socket.socket]:
    """Many connections that stay open here."""
    held: list[socket.socket] = []
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", port), 10)
        with contextlib.suppress(ConnectionError):
            each(number, client)
        held.append(client)
    return held


@pytest.fixture
def many_files() -> Iterator[int]:
    """How many connections this process may have open: 10,000, or as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 12_000 if hard == resource.RLIM_INFINITY else min(hard, 12_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield min(10_000, wanted - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_ten_thousand_connections_cost_little_and_keep_nobody_out(daemon: Running, many_files: int) -> None:
    process = psutil.Process(daemon.process.pid)
    daemon.get("/metrics")
    before, started = process.memory_info().rss, time.monotonic()

    def half(number: int, client: socket.socket) -> None:
        if number % 2:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")

    held = flood(daemon.port, many_files, half)
    seconds = time.monotonic() - started
    begun = time.perf_counter()
    answers = [daemon.get("/metrics").status_code for _ in range(20)]
    answered = (time.perf_counter() - begun) / 20
    after, files = process.memory_info().rss, process.num_fds()
    for client in held:
        client.close()
    tell(f"{many_files} connections", f"taken in {seconds:.1f} s; a scrape meanwhile {1000 * answered:.1f} ms")
    tell("", f"memory {before / 2**20:.1f} -> {after / 2**20:.1f} MiB, {files} files open")
    assert answers == [200] * 20
    assert after - before < 16 * 2**20
    assert files < 400
