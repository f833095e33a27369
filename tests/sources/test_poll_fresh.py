"""A fresh look at a Forge on demand: how long it takes, and what was seen meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from forgediag.config import Paces, TargetConfig
from forgediag.sources.poll import ForgePoll
from forgediag.testing.forge import SimulatedForge

RARE = Paces(progress=100, memory=100, options=100, models=100, flags=100)


def polled(act: Callable[[SimulatedForge, ForgePoll], Awaitable[None]]) -> None:
    async def run() -> None:
        async with SimulatedForge() as forge:
            poll = ForgePoll(TargetConfig(url=forge.url, timeout=1.0), RARE)
            task = asyncio.ensure_future(poll.run())
            try:
                assert await poll.fresh(5)
                await act(forge, poll)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_fresh_look_asks_for_what_moves_and_for_nothing_else() -> None:
    async def act(forge: SimulatedForge, poll: ForgePoll) -> None:
        while len(forge.requests) < 7:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        forge.requests.clear()
        poll.reads.clear()
        assert await poll.fresh(5)
        assert sorted(forge.requests) == ["GET /sdapi/v1/memory", "GET /sdapi/v1/progress"]
        assert [(read.endpoint, read.why) for read in poll.reads] == [("progress", None), ("memory", None)]

    polled(act)


def test_a_forge_that_hangs_is_waited_for_no_longer_than_asked() -> None:
    async def act(forge: SimulatedForge, poll: ForgePoll) -> None:
        forge.fault("hang")
        started = time.perf_counter()
        assert not await poll.fresh(0.3)
        assert 0.25 < time.perf_counter() - started < 0.9

    polled(act)


def test_a_forge_that_is_down_is_seen_to_be_at_once() -> None:
    async def act(forge: SimulatedForge, poll: ForgePoll) -> None:
        await forge.go_down()
        assert await poll.fresh(5)
        assert "nothing answers" in str(poll.reads[-1].why)

    polled(act)


def test_an_endpoint_that_hangs_does_not_keep_the_rest_from_being_told() -> None:
    async def act(forge: SimulatedForge, poll: ForgePoll) -> None:
        forge.fault("hang", "/sdapi/v1/memory")
        assert await poll.fresh(0.3)

    polled(act)


def test_two_who_look_at_once_share_one_answer() -> None:
    async def act(forge: SimulatedForge, poll: ForgePoll) -> None:
        await asyncio.sleep(0.1)
        forge.requests.clear()
        assert await asyncio.gather(*(poll.fresh(5) for _ in range(10))) == [True] * 10
        assert list(forge.requests).count("GET /sdapi/v1/progress") <= 2

    polled(act)
