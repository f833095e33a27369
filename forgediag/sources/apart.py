"""Work in a process of its own: what it imports, and the memory it leaves in pieces, end with it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar, cast

from forgediag.sources.thread import in_thread

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which such a process is ended: planning takes under one."""


class ApartError(Exception):
    """The process gave no answer; the text says why."""


async def apart(function: Callable[..., T], *arguments: object) -> T:
    """What a function of forgediag's own returns for these arguments, from a process that imports only what it needs.

    Arguments and answer are pickled between the two: they must be values, and the function one of a module.

    Raises:
        ApartError: the process could not be started, failed, or took over 60 s.
    """
    return await in_thread(lambda: answer(function, *arguments))


def answer(function: Callable[..., T], *arguments: object) -> T:
    """As `apart`, for a thread that waits.

    Raises:
        ApartError: the process could not be started, failed, or took over 60 s.
    """
    task = pickle.dumps((function.__module__, function.__qualname__, arguments))
    command = [sys.executable, "-m", "forgediag.sources.apart"]
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        done = subprocess.run(  # noqa: S603 - this very program
            command, input=task, capture_output=True, timeout=PATIENCE, creationflags=hidden, check=False
        )
    except subprocess.TimeoutExpired:
        raise ApartError(f"the process for it took more than {PATIENCE:.0f} s") from None
    except OSError as error:
        raise ApartError(f"no process for it could be started: {error.strerror or error}") from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ApartError(f"the process for it ended with {done.returncode}{''.join(f': {line}' for line in last)}")
    return cast("T", pickle.loads(done.stdout))  # noqa: S301 - our own answer


def main() -> None:
    """Answer the one task on standard input."""
    from importlib import import_module  # noqa: PLC0415 - only in the other process

    module, name, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    sys.stdout.buffer.write(pickle.dumps(getattr(import_module(module), name)(*arguments)))


if __name__ == "__main__":
    main()
