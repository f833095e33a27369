"""Time for the simulated Forge: the system's, faster if wanted, or virtual and moved by a test."""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count
from typing import Protocol

SETTLING_TURNS = 20
"""Turns of the event loop granted after each wake-up, so that what was woken comes to its next sleep."""


class Clock(Protocol):
    """What a simulated Forge asks of time."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """Real time; `speed` 10 makes every sleep a tenth as long and the clock ten times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._started = time.time()
        self._zero = time.monotonic()

    def now(self) -> float:
        """Unix seconds."""
        return self._started + (time.monotonic() - self._zero) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds / self.speed)


class VirtualClock:
    """Time that stands still until `advance` moves it: a job of minutes runs in milliseconds, always the same way."""

    def __init__(self, start: float = 1_763_000_000.0) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Unix seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until time has been moved that far."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time, waking every sleeper at its own moment and in order."""
        target = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = due
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._now = target

    async def _settle(self) -> None:
        for _ in range(SETTLING_TURNS):
            await asyncio.sleep(0)
