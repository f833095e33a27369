"""Several pieces of work at once, by as many threads as cores and disks allow."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from forgediag.sources.identity import usable_cores

T = TypeVar("T")

MOST = 4
"""Files read at once at most: two already keep a SATA disk busy, four an NVMe disk."""


class Crew(Generic[T]):
    """Works through pieces of work in their order, in threads that nobody waits for at the end of the process."""

    def __init__(self, work: Mapping[str, Callable[[], T]], workers: int) -> None:
        """Start.

        Args:
            work: what to do, by name.
            workers: threads.
        """
        self._waiting = deque(work.items())
        self._results: dict[str, Future[T]] = {name: Future() for name in work}
        for _ in range(min(workers, len(work))):
            threading.Thread(target=self._run, name="forgediag-crew", daemon=True).start()

    def result(self, name: str) -> T | None:
        """What a piece of work came to, waited for; None where there is none of that name. Raises what it raised."""
        future = self._results.get(name)
        return None if future is None else future.result()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._waiting.clear()

    def _run(self) -> None:
        while True:
            try:
                name, act = self._waiting.popleft()
            except IndexError:
                return
            future = self._results[name]
            try:
                future.set_result(act())
            except BaseException as error:  # handed on to whoever waits
                future.set_exception(error)


def at_once(devices: Collection[int], blocks: Path = Path("/sys/dev/block")) -> int:
    """How many files to read at a time: one where any disk has a head that would have to jump between them.

    Args:
        devices: the files' file systems, as `stat` numbers them.
        blocks: where Linux tells of its disks.
    """
    return 1 if any(_turns(blocks, device) for device in devices) else min(usable_cores(), MOST)


def _turns(blocks: Path, device: int) -> bool:
    if not hasattr(os, "major"):
        return False
    disk = blocks / f"{os.major(device)}:{os.minor(device)}"
    for place in (disk / "queue/rotational", disk.resolve().parent / "queue/rotational"):  # the latter of a partition
        try:
            return place.read_text().strip() == "1"
        except OSError:
            continue
    return False
