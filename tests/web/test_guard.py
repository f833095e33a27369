"""Who is answered: by Host, by user; and what every answer carries."""

from __future__ import annotations

import asyncio
import base64
import inspect
import time
from collections.abc import Awaitable

import pytest

from forgediag.guard import Guard, Hosts
from forgediag.http import SAFE, Request, Response
from forgediag.http.login import KNOWN, WAITING, BusyError, Logins
from forgediag.web_config import WebConfig

HASH = b"$2b$04$UVVzeaNhLuyBdvVcOXSV1OqGUuAdL1WnI7rIbzIPPYejQkyjFxccq"
OTHER = b"$2b$04$UVVzeaNhLuyBdvVcOXSV1OqGUuAdL1WnI7rIbzIPPYejQkyjFxccr"
USERS = {"alice": HASH}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


RIGHT = basic("alice", "wonder land")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:9836", True),
        ("192.0.2.7", True),
        ("[::1]:9836", True),
        ("[fe80::1%25eth0]:80", True),
        ("localhost:9836", True),
        ("LOCALHOST.", True),
        ("forge-host:9836", True),
        ("metrics.example", True),
        ("", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:9836", False),
        ("user@127.0.0.1:9836@evil.example", False),
        ("[::1", False),
        ("evil.example:99999", False),
    ],
)
def test_a_host_is_answered_when_no_web_page_can_have_made_it_point_here(host: str, allowed: bool) -> None:
    hosts = Hosts("forge-host", ["Metrics.example"])
    assert hosts.allow(host) is allowed
    assert hosts.allow(host) is allowed


def test_a_star_allows_every_name_and_many_names_are_not_remembered_for_ever() -> None:
    assert Hosts("", ["*"]).allow("anything.example")
    hosts = Hosts("127.0.0.1", [])
    assert not any(hosts.allow(f"name{number}.example") for number in range(1000))
    assert len(hosts._verdicts) <= 256


class Guarded:
    """A guard before a handler that says hello, at once or later."""

    def __init__(self, web: WebConfig | None = None, *, later: bool = False) -> None:
        self.web, self.later = web or WebConfig(), later
        self.answer = Response(200, {"content-type": "text/plain"}, b"hello")
        self.guard = Guard(self._handle, lambda: self.web, Hosts("127.0.0.1", []))

    def _handle(self, _: Request) -> Response | Awaitable[Response]:
        async def later() -> Response:
            return self.answer

        return later() if self.later else self.answer

    async def get(self, authorization: str = "", host: str = "localhost") -> Response:
        headers = {"host": host, "authorization": authorization}
        answer = self.guard.handle(Request("GET", "/", {}, headers))
        return await answer if inspect.isawaitable(answer) else answer


@pytest.mark.parametrize("later", [False, True])
def test_every_answer_carries_the_headers_of_a_careful_server(later: bool) -> None:
    async def act() -> list[Response]:
        guarded = Guarded(WebConfig(users=USERS), later=later)
        return [
            await guarded.get(),
            await guarded.get(RIGHT),
            await guarded.get(RIGHT),
            await guarded.get(host="e.vil"),
        ]

    answers = asyncio.run(act())
    assert [answer.status for answer in answers] == [401, 200, 200, 421]
    for answer in answers:
        assert SAFE.items() <= answer.headers.items()


def test_a_page_says_what_it_needs_and_the_web_config_has_the_last_word() -> None:
    guarded = Guarded()
    guarded.answer = Response(200, {"content-security-policy": "default-src 'self'", "x-frame-options": "SAMEORIGIN"})
    assert asyncio.run(guarded.get()).headers["content-security-policy"] == "default-src 'self'"
    guarded.web = WebConfig(headers={"x-frame-options": "DENY", "strict-transport-security": "max-age=9"})
    headers = asyncio.run(guarded.get()).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["strict-transport-security"] == "max-age=9"


def test_the_same_answer_stays_the_same_object_and_old_ones_are_let_go() -> None:
    async def act() -> None:
        guarded = Guarded()
        assert await guarded.get() is await guarded.get()
        for number in range(50):
            guarded.answer = Response(200, {}, b"%d" % number)
            assert (await guarded.get()).body == b"%d" % number
        assert len(guarded.guard._dressed) <= 4

    asyncio.run(act())


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        basic("alice", "wonderland"),
        basic("alice", ""),
        basic("bob", "wonder land"),
        basic("", "wonder land"),
        basic("alice", "x" * 5000),
    ],
)
def test_who_has_no_right_password_is_asked_for_one(authorization: str) -> None:
    answer = asyncio.run(Guarded(WebConfig(users=USERS)).get(authorization))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_a_verdict_is_kept_until_the_password_changes() -> None:
    async def act() -> list[bool | None]:
        logins = Logins()
        before = logins.known(USERS, RIGHT)
        await logins.verdict(USERS, RIGHT)
        await logins.verdict(USERS, basic("alice", "wrong"))
        headers = (RIGHT, basic("alice", "wrong"))
        return [before, *(logins.known(USERS, header) for header in headers), logins.known({"alice": OTHER}, RIGHT)]

    assert asyncio.run(act()) == [None, True, False, None]


def test_guesses_do_not_push_out_who_was_let_in() -> None:
    async def act() -> Logins:
        logins = Logins()
        assert await logins.verdict(USERS, RIGHT)
        for number in range(KNOWN + 5):
            assert not await logins.verdict(USERS, basic("alice", str(number)))
        assert logins.known(USERS, RIGHT)
        assert len(logins._bad) == KNOWN
        return logins

    asyncio.run(act())


def test_the_same_login_at_once_is_checked_once_and_too_many_are_told_to_come_back() -> None:
    async def act() -> tuple[list[bool], Response]:
        guarded = Guarded(WebConfig(users=USERS))
        logins = guarded.guard._logins
        waiting = [asyncio.ensure_future(logins.verdict(USERS, RIGHT)) for _ in range(50)]
        await asyncio.sleep(0)
        assert len(logins._running) == 1
        guesses = [asyncio.ensure_future(logins.verdict(USERS, basic("a", str(n)))) for n in range(WAITING - 1)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await logins.verdict(USERS, basic("alice", "one more"))
        busy = await guarded.get(basic("alice", "one more"))
        await asyncio.gather(*guesses)
        return await asyncio.gather(*waiting), busy

    verdicts, busy = asyncio.run(act())
    assert verdicts == [True] * 50
    assert (busy.status, busy.headers["retry-after"]) == (503, "1")


def test_an_unknown_user_takes_as_long_as_a_known_one() -> None:
    slow = {"alice": HASH.replace(b"$04$", b"$09$")}

    async def seconds(user: str) -> float:
        started = time.perf_counter()
        await Logins().verdict(slow, basic(user, "guess"))
        return time.perf_counter() - started

    known, unknown = (min(asyncio.run(seconds(user)) for _ in range(3)) for user in ("alice", "mallory"))
    assert 0.4 < unknown / known < 2.5


def test_a_login_that_goes_away_leaves_its_verdict() -> None:
    async def act() -> bool | None:
        logins = Logins()
        task = asyncio.ensure_future(logins.verdict(USERS, RIGHT))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, *logins._running.values(), return_exceptions=True)
        return logins.known(USERS, RIGHT)

    assert asyncio.run(act()) is True
