"""A simulated Forge in a thread of its own, for tests and programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from forgediag.testing.forge.clock import Clock
from forgediag.testing.forge.server import Setup, SimulatedForge

T = TypeVar("T")
NOT_STARTED = "the simulated Forge is not started: use it in a `with` statement"


class ForgeThread:
    """`with ForgeThread() as running:` serves a Forge at `running.url`; `running.call(...)` acts inside its loop."""

    def __init__(self, setup: Setup | None = None, *, clock: Clock | None = None) -> None:
        self._setup, self._clock = setup, clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._forge: SimulatedForge | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._running().url

    def _running(self) -> SimulatedForge:
        if self._forge is None:
            raise RuntimeError(NOT_STARTED)
        return self._forge

    def __enter__(self) -> ForgeThread:
        """Start the thread and listen."""
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=[loop], name="simulated-forge", daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        loop.close()

    async def _start(self) -> None:
        self._forge = SimulatedForge(self._setup, clock=self._clock)
        await self._forge.come_up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the Forge and its thread."""
        self._run(self._running().go_down())
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._loop = self._thread = self._forge = None

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

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError(NOT_STARTED)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)
