"""Threads that disturb nobody: work that may block, and the lowest priority for work that can wait."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


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


def step_back() -> None:
    """Give this thread the lowest CPU and disk priority, where the system knows such a thing for one thread.

    On Linux threads started by this one inherit it.
    """
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - only here

        kernel = ctypes.windll.kernel32
        kernel.SetThreadPriority(kernel.GetCurrentThread(), 0x00010000)  # THREAD_MODE_BACKGROUND_BEGIN
    elif sys.platform == "linux":
        import psutil  # noqa: PLC0415

        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, 19)
            psutil.Process(thread).ionice(psutil.IOPRIO_CLASS_IDLE)
        except (OSError, psutil.Error):
            _log.debug("this thread keeps its priority: the system refuses a lower one")
