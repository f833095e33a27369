"""Blocking work beside the event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from forgediag.sources.thread import in_thread


def test_a_result_and_an_error_come_back() -> None:
    def fails() -> None:
        raise ValueError("no")

    async def act() -> int:
        with pytest.raises(ValueError, match="no"):
            await in_thread(fails)
        return await in_thread(lambda: 7)

    assert asyncio.run(act()) == 7


def test_the_loop_goes_on_meanwhile() -> None:
    async def act() -> float:
        started = time.monotonic()
        await asyncio.gather(*(in_thread(lambda: time.sleep(0.2)) for _ in range(5)))
        return time.monotonic() - started

    assert asyncio.run(act()) < 0.8


def test_a_wait_given_up_does_not_trouble_the_thread() -> None:
    gate = threading.Event()

    async def act() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(in_thread(gate.wait), 0.05)

    asyncio.run(act())
    gate.set()
    time.sleep(0.05)


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    code = (
        "import asyncio, time\n"
        "from forgediag.sources.thread import in_thread\n"
        "async def act():\n"
        "    asyncio.ensure_future(in_thread(lambda: time.sleep(60)))\n"
        "    await asyncio.sleep(0.1)\n"
        "asyncio.run(act())\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=10, check=True)
