"""A simulated Forge and a client for it, inside one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx
import pytest

from forgediag.testing.forge import Clock, Setup, SimulatedForge, SystemClock

Scene = Callable[[SimulatedForge, httpx.AsyncClient], Awaitable[None]]


class Play(Protocol):
    def __call__(self, scene: Scene, setup: Setup | None = None, clock: Clock | None = None) -> SimulatedForge: ...


@pytest.fixture
def play() -> Play:
    """Run a scene; by default jobs take a five-hundredth of their time."""

    def act(scene: Scene, setup: Setup | None = None, clock: Clock | None = None) -> SimulatedForge:
        async def inside() -> SimulatedForge:
            async with SimulatedForge(setup, clock=clock or SystemClock(500)) as forge:
                base = f"{forge.url}/sdapi/v1/"
                async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
                    await asyncio.wait_for(scene(forge, client), 20)
            return forge

        return asyncio.run(inside())

    return act
