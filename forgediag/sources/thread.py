"""Work that may block, in a thread that never keeps the process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_thread(act: Callable[[], T]) -> T:
    """What `act` returns or raises, from a daemon thread of its own.

    The executor behind `asyncio.to_thread` is waited for when the loop closes: a read from a network disk that has
    gone would keep the daemon from ending on SIGTERM.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            result = act()
        except BaseException as error:  # handed on to whoever waits
            settle = partial(future.set_exception, error)
        else:
            settle = partial(future.set_result, result)
        with suppress(InvalidStateError):  # the wait was given up
            settle()

    threading.Thread(target=work, name="forgediag-blocking", daemon=True).start()
    return await asyncio.wrap_future(future)
