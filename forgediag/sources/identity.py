"""All identities of a file in one read: hashes, fingerprint and content, on as many cores as they keep busy."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from forgediag.model.identity import Identity
from forgediag.sources.digests import (
    AUTOV1_AT,
    PIECE,
    AutoV1,
    AutoV3,
    Blake3,
    Crc32,
    Digest,
    Fingerprint,
    Sha256,
    pieces,
)
from forgediag.sources.reading import BLOCK, Changed, Reading

__all__ = ["ALL", "BLOCK", "Changed", "Stopped", "blake3_alone", "fingerprint", "identify", "usable_cores"]

ALL = frozenset({"sha256", "autov1", "autov3", "blake3", "crc32", "fingerprint"})
"""Every identity there is."""

BUFFERS = 4
"""Blocks in memory at a time where more than one core is at work."""

SLICE = 1024 * 1024
"""Bytes handed to one digest after the other: they stay in a core's cache between them."""

Gate = Callable[[int], bool]
"""Called before each block with the bytes read so far: may sleep; False stops."""


class Stopped(Exception):  # noqa: N818 - no error: the gate said so
    """The gate said stop."""


class _Sink(Protocol):
    weight: float

    def update(self, data: memoryview, offset: int) -> None: ...


def identify(
    path: str,
    *,
    wanted: frozenset[str] = frozenset({"sha256"}),
    content: bool = False,
    gate: Gate | None = None,
    uncached: bool = True,
    cores: int | None = None,
) -> Identity:
    """Read a file once and say what it is. The SHA-256 is always taken.

    Args:
        path: the file.
        wanted: names out of `ALL`. BLAKE3 stays None without the package `blake3`.
        content: whether to look at its numbers too; needs numpy.
        gate: asked before each block of 4 MiB.
        uncached: whether to leave the page cache as it was.
        cores: how many to keep busy; None takes all this process may use. With 1 everything happens in the calling
            thread; with more, reading and the digests in threads of their own.

    Raises:
        OSError: the file cannot be read; `Changed`: it is not what it was when the read began.
        Stopped: the gate said so.
        ImportError: content is asked for and numpy is not installed.
    """
    with Reading(path, uncached=uncached) as reading:
        digests = _digests(reading, wanted)
        sinks: list[_Sink] = list(digests.values())
        scan = None
        if content:
            from forgediag.sources.content import Scan  # noqa: PLC0415 - imports numpy

            scan = Scan.of(path, reading)
            sinks.append(scan)
        _flow(reading, sinks, gate, usable_cores() if cores is None else cores)
        reading.check()
        found = {name: digest.hexdigest() for name, digest in digests.items()}
        return Identity(
            size=reading.size,
            sha256=found["sha256"],
            autov1=found.get("autov1"),
            autov3=found.get("autov3"),
            blake3=found.get("blake3"),
            crc32=found.get("crc32"),
            fingerprint=found.get("fingerprint"),
            content=None if scan is None else scan.result(),
        )


def usable_cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blake3_alone(path: str, *, gate: Gate | None = None, uncached: bool = True, cores: int | None = None) -> str:
    """A file's BLAKE3 without its SHA-256, in a third of the time or less: enough to tell that nothing has changed.

    Raises:
        OSError: the file cannot be read; `Changed`: it is not what it was when the read began.
        Stopped: the gate said so.
        ImportError: the package `blake3` is not installed.
    """
    with Reading(path, uncached=uncached) as reading:
        digest = Blake3()
        _flow(reading, [digest], gate, usable_cores() if cores is None else cores)
        reading.check()
        return digest.hexdigest()


def fingerprint(path: str, *, uncached: bool = True) -> str:
    """A file's fingerprint alone: 4 MiB are read of it, whatever its size.

    Raises:
        OSError: the file cannot be read; `Changed`: it is not what it was when the read began.
    """
    with Reading(path, uncached=uncached, samples=True) as reading:
        digest = Fingerprint(reading.size)
        for offset, length in pieces(reading.size):
            piece = reading.read(offset, length)
            if len(piece) < length:
                raise Changed("it was cut while it was read")
            digest.update(memoryview(piece), offset)
        reading.check()
        return digest.hexdigest()


def short_hash(path: str) -> str:
    """A file's AutoV1 alone: 64 KiB are read of it.

    Raises:
        OSError: the file cannot be read.
    """
    with Reading(path, samples=True) as reading:
        digest = AutoV1()
        digest.update(memoryview(reading.read(AUTOV1_AT, PIECE)), AUTOV1_AT)
        return digest.hexdigest()


def _digests(reading: Reading, wanted: frozenset[str]) -> dict[str, Digest]:
    digests: dict[str, Digest] = {"sha256": Sha256()}
    if "autov1" in wanted:
        digests["autov1"] = AutoV1()
    if "autov3" in wanted and (start := _data_start(reading)) is not None:
        digests["autov3"] = AutoV3(start)
    if "crc32" in wanted:
        digests["crc32"] = Crc32()
    if "blake3" in wanted and (digest := Blake3.installed()) is not None:
        digests["blake3"] = digest
    if "fingerprint" in wanted:
        digests["fingerprint"] = Fingerprint(reading.size)
    return digests


def _data_start(reading: Reading) -> int | None:
    """Where a safetensors file's data begins; None for a file of another kind."""
    head = reading.read(0, 9)
    start = 8 + int.from_bytes(head[:8], "little")
    return start if start <= reading.size and head[8:] in {b"{", b" ", b"\t", b"\n", b"\r"} else None


def _flow(reading: Reading, sinks: Sequence[_Sink], gate: Gate | None, cores: int) -> None:
    """Read every block and show it to every sink, with more than one core one block ahead of them."""
    if cores == 1 or reading.size <= SLICE:
        _blocks(reading, gate, partial(_pass, sinks))
        return
    lanes = _lanes(sinks, cores)
    with ExitStack() as stack:
        # One thread for each lane that never waits for another lane: in step, two were measured at 1.4 of one's time.
        threads = [stack.enter_context(ThreadPoolExecutor(1, "forgediag-identity")) for _ in lanes]
        under_way: deque[list[Future[None]]] = deque()

        def hand_over(block: memoryview, offset: int) -> None:
            under_way.append(
                [thread.submit(_pass, lane, block, offset) for thread, lane in zip(threads, lanes, strict=True)]
            )
            if len(under_way) == BUFFERS:
                _settle(under_way.popleft())

        _blocks(reading, gate, hand_over, BUFFERS)
        for futures in under_way:
            _settle(futures)


def _blocks(
    reading: Reading, gate: Gate | None, hand_over: Callable[[memoryview, int], None], buffers: int = 1
) -> None:
    """Buffers take turns: while some are worked on, the next is filled."""
    ring = [memoryview(bytearray(min(BLOCK, reading.size))) for _ in range(buffers)]
    for number, offset in enumerate(range(0, reading.size, BLOCK)):
        if gate is not None and not gate(offset):
            raise Stopped
        buffer = ring[number % buffers][: reading.size - offset]
        if reading.into(buffer, offset) < len(buffer):
            raise Changed("it was cut while it was read")
        hand_over(buffer, offset)


def _settle(under_way: Sequence[Future[None]]) -> None:
    wait(under_way)
    for future in under_way:
        future.result()


def _pass(lane: Sequence[_Sink], block: memoryview, offset: int) -> None:
    for start in range(0, len(block), SLICE):
        piece = block[start : start + SLICE]
        for sink in lane:
            sink.update(piece, offset + start)


def _lanes(sinks: Sequence[_Sink], cores: int) -> list[list[_Sink]]:
    """The sinks shared out so that no core has much more to do than another, the heaviest first."""
    lanes: list[list[_Sink]] = [[] for _ in range(cores)]
    for sink in sorted(sinks, key=lambda sink: -sink.weight):
        min(lanes, key=lambda lane: sum(each.weight for each in lane)).append(sink)
    return [lane for lane in lanes if lane]
