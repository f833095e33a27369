"""Virtual time: sleepers wake in order, at their own moment, and only when time is moved."""

from __future__ import annotations

import asyncio

from forgediag.testing.forge import SystemClock, VirtualClock


def test_sleepers_wake_in_order_at_their_moment() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(clock: VirtualClock, name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            woken.append((name, clock.now()))

    async def act() -> None:
        clock = VirtualClock(start=0)
        tasks = [
            asyncio.ensure_future(sleeper(clock, "slow", 2, 1)),
            asyncio.ensure_future(sleeper(clock, "quick", 0.9, 3)),
        ]
        await clock.advance(1)
        assert clock.now() == 1
        await clock.advance(10)
        await asyncio.gather(*tasks)

    asyncio.run(act())
    assert woken == [("quick", 0.9), ("quick", 1.8), ("slow", 2), ("quick", 2.7)]


def test_a_cancelled_sleeper_is_passed_over() -> None:
    async def act() -> float:
        clock = VirtualClock(start=0)
        task = asyncio.ensure_future(clock.sleep(1))
        await asyncio.sleep(0)
        task.cancel()
        await clock.advance(2)
        return clock.now()

    assert asyncio.run(act()) == 2


def test_a_fast_clock_runs_ahead() -> None:
    async def act() -> float:
        clock = SystemClock(100)
        started = clock.now()
        await clock.sleep(2)
        return clock.now() - started

    assert 1.9 < asyncio.run(act()) < 30
