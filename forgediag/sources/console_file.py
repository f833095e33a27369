"""Bytes of a console's log to lines, from a file, a pipe or the journal, in bounded memory and time."""

from __future__ import annotations

import codecs
import os
import queue
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from forgediag.forge.log.lines import LONGEST

BLOCK = 1024 * 1024
"""Bytes read at once."""

PATIENCE = 60.0
"""Seconds a pipe is read for; a FIFO that nobody ends must not keep us."""


class ConsoleFileError(Exception):
    """The log cannot be read; the message says why and what to do."""


def blocks(path: str, stdin: BinaryIO, patience: float = PATIENCE) -> Iterator[bytes]:
    """The bytes of a file, a FIFO, or (`-`) standard input.

    Raises:
        ConsoleFileError: it cannot be opened or read.
    """
    if path == "-":
        yield from _patiently(stdin.fileno(), "standard input", patience)
        return
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                while piece := os.read(handle, BLOCK):
                    yield piece
            else:
                yield from _patiently(handle, path, patience)
        finally:
            os.close(handle)
    except OSError as error:
        raise ConsoleFileError(f"{path} cannot be read: {error.strerror or error}") from None


def journal(unit: str) -> Iterator[bytes]:
    """The journal of a systemd unit.

    Raises:
        ConsoleFileError: there is no journalctl, or it failed.
    """
    command = ["journalctl", "--no-pager", "--output=cat", f"--unit={unit}"]
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603 - a unit's name
    except OSError as error:
        raise ConsoleFileError(f"journalctl cannot be run: {error.strerror or error}; pass a file instead") from None
    with child:
        while child.stdout is not None and (piece := child.stdout.read(BLOCK)):
            yield piece
    if child.returncode:
        raise ConsoleFileError(f"journalctl ended with status {child.returncode} for unit {unit}")


def _patiently(handle: int, name: str, patience: float) -> Iterator[bytes]:
    """What comes through a pipe until it ends or patience does.

    A thread reads: pipes of Windows cannot be polled.
    """
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    pieces: queue.Queue[bytes] = queue.Queue(maxsize=4)
    threading.Thread(target=_pump, args=(handle, pieces), name="console-pipe", daemon=True).start()
    end, empty = time.monotonic() + patience, True
    while (left := end - time.monotonic()) > 0:
        try:
            piece = pieces.get(timeout=left)
        except queue.Empty:
            break
        if not piece:
            return
        empty = False
        yield piece
    if empty:
        raise ConsoleFileError(f"nothing came from {name} within {patience:g} s; pass a file, or a pipe that ends")


def _pump(handle: int, pieces: queue.Queue[bytes]) -> None:
    try:
        while piece := os.read(handle, 64 * 1024):
            pieces.put(piece)
    except OSError:
        return
    finally:
        pieces.put(b"")


def decoded(pieces: Iterator[bytes], name: str) -> Iterator[str]:
    """Pieces of text from pieces of bytes: UTF-8, or UTF-16 where a byte order mark says so; wrong bytes replaced.

    Raises:
        ConsoleFileError: it is empty or binary.
    """
    first = next(pieces, b"")
    if not first:
        raise ConsoleFileError(f"{name} is empty: there is nothing to explain")
    wide = first[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    if not wide and first[:8192].count(0) > 8:
        raise ConsoleFileError(f"{name} is a binary file, not a console's log")
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")("replace")
    yield decoder.decode(first)
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def lines(texts: Iterator[str]) -> Iterator[str]:
    """Whole lines. Of one that is longer than a block only its start and its end are kept."""
    return chain.from_iterable(_pieces(texts))


def _pieces(texts: Iterator[str]) -> Iterator[list[str]]:
    rest = ""
    for text in texts:
        parts = (rest + text).split("\n")
        rest = parts.pop()
        yield parts
        if len(rest) > BLOCK:
            rest = f"{rest[:LONGEST]}\r{rest[-LONGEST:]}"
    if rest:
        yield [rest]
