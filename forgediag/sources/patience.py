"""Reading from disks that may hang: a call that shows no sign of life is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

T = TypeVar("T")

Beat = Callable[[], None]
"""A sign of life. Raises `Left` when nobody waits any more."""


class Hung(OSError):  # noqa: N818 - a reason, told like the system's own
    """The disk does not answer."""


class Left(Exception):  # noqa: N818 - no error: what is done has no use any more
    """Nobody waits for what is done."""


def patiently(act: Callable[[Beat], T], seconds: float) -> T:
    """What `act` returns or raises; it runs in a thread of its own.

    A system call on a network disk that has gone cannot be interrupted: its thread is left where it hangs, and ends
    with the process or at its next sign of life.

    Args:
        act: is given a function to call from time to time.
        seconds: how long it may be silent.

    Raises:
        Hung: it was silent for longer.
    """
    alive, waited_for = [time.monotonic()], [True]
    future: Future[T] = Future()

    def beat() -> None:
        alive[0] = time.monotonic()
        if not waited_for[0]:
            raise Left

    def work() -> None:
        try:
            future.set_result(act(beat))
        except BaseException as error:  # handed on to whoever waits
            future.set_exception(error)

    threading.Thread(target=work, name="forgediag-disk", daemon=True).start()
    try:
        while True:
            try:
                return future.result(timeout=min(seconds, 0.2))
            except NotYet:
                if future.done():
                    raise
                if time.monotonic() - alive[0] > seconds:
                    raise Hung(f"the disk has not answered for {seconds:g} s") from None
    finally:
        waited_for[0] = False
