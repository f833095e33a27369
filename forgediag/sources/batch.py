"""Several files at once, on as many cores as there are, and clean ends of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from forgediag.model.identity import Identity
from forgediag.sources.identity import identify, usable_cores
from forgediag.sources.thread import step_back


def identify_all(
    paths: Sequence[str],
    *,
    wanted: frozenset[str],
    content: bool = False,
    progress: Callable[[str, int], None] = lambda path, done: None,  # noqa: ARG005
) -> Generator[tuple[str, Identity | OSError], None, None]:
    """Each file's identity, or why there is none, in the order given. Reads behind everything else on the machine.

    Closing the generator, as an interrupt does, ends every read at its next block.

    Args:
        paths: the files.
        wanted: as for `identify`.
        content: as for `identify`.
        progress: told the bytes read of a file so far, from any thread; the whole size when it is done.
    """
    cores = usable_cores()
    stop = threading.Event()

    def one(path: str) -> Identity | OSError:
        def gate(done: int) -> bool:
            progress(path, done)
            return not stop.is_set()

        try:
            found = identify(path, wanted=wanted, content=content, gate=gate, cores=max(1, cores // len(paths)))
        except OSError as error:
            return error
        progress(path, found.size)
        return found

    pool = ThreadPoolExecutor(cores, "forgediag-files", initializer=step_back)
    try:
        futures = [pool.submit(one, path) for path in paths]
        for path, future in zip(paths, futures, strict=True):
            yield path, future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
