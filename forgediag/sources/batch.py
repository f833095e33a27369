"""Several files at once, on as many cores as there are, and clean ends of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

from forgediag.model import Fault
from forgediag.model.identity import Identity
from forgediag.sources.identity import fingerprint, short_hash, usable_cores
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import Stamp
from forgediag.sources.thread import step_back
from forgediag.sources.whole import USUAL, read_whole


@dataclass(frozen=True, slots=True)
class Found:
    """One file's identities, and `damage` beyond its header. `trusted` is when it was read if that was not now."""

    identity: Identity
    damage: Fault | None = None
    trusted: float | None = None


def identify_all(
    paths: Sequence[str],
    records: Records,
    *,
    wanted: frozenset[str],
    content: bool = False,
    full: bool = False,
    progress: Callable[[str, int], None] = lambda path, done: None,  # noqa: ARG005
) -> Generator[tuple[str, Found | OSError], None, None]:
    """Each file's identity, or why there is none, in the order given. Reads behind everything else on the machine.

    A version of a file that is known is not read again, except for pieces of it.

    Closing the generator, as an interrupt does, ends every read at its next block.

    Args:
        paths: the files.
        records: what is known, and where what is found out goes.
        wanted: as for `identify`.
        content: as for `identify`.
        full: read every file, whatever is known of it.
        progress: told the bytes read of a file so far, from any thread; the whole size when it is done.
    """
    cores = usable_cores()
    stop = threading.Event()

    def one(path: str) -> Found | OSError:
        def gate(done: int) -> bool:
            progress(path, min(done, size))
            return not stop.is_set()

        place = os.path.abspath(path)  # noqa: PTH100 - links stay as they are
        size = 0
        try:
            stamp = Stamp.at(path)
            size = stamp.size
            known = None if full or content else _known(records.trusted(place, stamp), path, wanted)
            if known is None:
                share = max(1, cores // len(paths))
                record, identity = read_whole(path, wanted=wanted | USUAL, content=content, gate=gate, cores=share)
                records.add(place, record)
                known = Found(identity, record.damage)
        except OSError as error:
            return error
        progress(path, size)
        return known

    pool = ThreadPoolExecutor(cores, "forgediag-files", initializer=step_back)
    try:
        futures = [pool.submit(one, path) for path in paths]
        for path, future in zip(paths, futures, strict=True):
            yield path, future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _known(record: Record | None, path: str, wanted: frozenset[str]) -> Found | None:
    """All that is wanted of a file that was read before; None where it must be read for that."""
    if record is None or ("crc32" in wanted and record.crc32 is None):
        return None
    if "blake3" in wanted and record.blake3 is None and find_spec("blake3") is not None:
        return None
    identity = Identity(
        size=record.stamp.size,
        sha256=record.sha256,
        autov1=short_hash(path) if "autov1" in wanted else None,
        autov3=record.autov3,
        blake3=record.blake3 if "blake3" in wanted else None,
        crc32=record.crc32 if "crc32" in wanted else None,
        fingerprint=fingerprint(path) if "fingerprint" in wanted else None,
    )
    return Found(identity, record.damage, record.at)
