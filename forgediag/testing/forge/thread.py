"""A simulated Forge in a thread of its own, for tests and programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from forgediag.testing.forge.clock import Clock
from forgediag.testing.forge.server import Setup, SimulatedForge

T = TypeVar("T")


class ForgeThread:
    """`with ForgeThread() as running:` serves a Forge at `running.url`; `running.call(...)` acts inside its loop."""

    def __init__(self, setup: Setup | None = None, *, clock: Clock | None = None) -> None:
        self._setup, self._clock = setup, clock
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-forge", daemon=True)
        self._forge: SimulatedForge | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._running().url

    def _running(self) -> SimulatedForge:
        if self._forge is None:
            raise RuntimeError("the simulated Forge is not started: use it in a `with` statement")
        return self._forge

    def __enter__(self) -> ForgeThread:
        """Start the thread and listen."""
        self._thread.start()
        self._run(self._start())
        return self

    async def _start(self) -> None:
        self._forge = SimulatedForge(self._setup, clock=self._clock)  # here, for its locks belong to a loop on 3.9
        await self._forge.come_up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the Forge and its thread."""
        self._run(self._running().go_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def call(self, act: Callable[[SimulatedForge], T]) -> T:
        """Do something to the Forge inside its loop, and return what it returns."""

        async def inside() -> T:
            return act(self._running())

        return self._run(inside())

    def wait(self, act: Callable[[SimulatedForge], Awaitable[T]]) -> T:
        """As `call`, and wait for what it starts."""

        async def inside() -> T:
            return await act(self._running())

        return self._run(inside())

    def _run(self, coroutine: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(60)
