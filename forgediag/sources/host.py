"""This machine through psutil: memory, and the Forge process found by its port or its command line."""

from __future__ import annotations

import ntpath
import os
import posixpath
import shlex
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import psutil

from forgediag.forge.folders import arguments as folder_flags
from forgediag.model import Gap, Host, Known, Own, Process

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ENTRY_SCRIPTS = frozenset({"launch.py", "webui.py"})
"""What Forge and its forks are started with; `webui.sh` and `webui.bat` end in one of them."""


def read_host() -> Known[Host]:
    """This machine's memory. A gap where the system does not tell (a container without /proc)."""
    try:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    except (OSError, RuntimeError, psutil.Error) as error:
        return Gap(f"this system does not tell its memory: {error}", "unsupported")
    return Host(memory.total, memory.available, swap.total, swap.free)


def read_own() -> Own | None:
    """What this process takes itself, or None where the system does not tell."""
    process = psutil.Process()
    try:
        with process.oneshot():
            times = process.cpu_times()
            return Own(process.memory_info().rss, times.user + times.system, process.create_time())
    except psutil.Error:
        return None


def is_local(url: str) -> bool:
    """Whether a URL names this machine by a loopback name."""
    return (urlsplit(url).hostname or "") in LOOPBACK


class ProcessFinder:
    """Finds one target's Forge process and then only reads its memory; looks again when it has gone.

    `find()` walks the system's sockets or processes (tens of ms): call it off the event loop. `read()` is cheap.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: psutil.Process | None = None
        self._facts: Known[Process] = Gap("the Forge process was not looked for yet", "starting", expected=True)

    def find(self) -> None:
        """Look for the process behind the URL's port, and note what does not change while it runs."""
        if not is_local(self._url):
            self._facts = Gap(
                "Forge runs on another machine: its process is not visible here", "unsupported", expected=True
            )
        elif self._process is None or not _alive(self._process):
            port = urlsplit(self._url).port
            self._process = _listener(port) if port else None
            self._facts = _facts(self._process) if self._process else self._missing()

    def _missing(self) -> Gap:
        reason = f"no process of this machine serves {self._url}: not started, or in a container"
        return Gap(reason, "missing", expected=True)

    def read(self) -> Known[Process]:
        """The process as it is now, or why it is not known."""
        if self._process is None or isinstance(self._facts, Gap):
            return self._facts
        try:
            return replace(self._facts, resident=self._process.memory_info().rss)
        except psutil.NoSuchProcess:
            self._process, self._facts = None, Gap("the Forge process has ended", "lost")
            return self._facts
        except psutil.Error as error:
            return _refused(error)


def _refused(error: psutil.Error) -> Gap:
    return Gap(f"the Forge process cannot be read: {error}; run forgediag as the same user", "failed")


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class _Listeners:
    """Who listens on which TCP port: walking all sockets costs 10 ms and more, so those who ask together share it.

    An answer is never older than its question: who asks while sockets are walked waits for the next walk.
    """

    def __init__(self) -> None:
        self._lock, self._begun = threading.Lock(), 0
        self._owners: dict[int, set[int | None]] | None = None

    def of(self, port: int) -> set[int | None]:
        """Process numbers; None among them where the system does not tell whose the port is."""
        asked = self._begun
        with self._lock:
            if self._begun == asked:
                self._begun += 1
                self._owners = _listening()
            return {None} if self._owners is None else self._owners.get(port, set())


def _listening() -> dict[int, set[int | None]] | None:
    """Process numbers by port; None where the system does not tell (macOS without root)."""
    owners: dict[int, set[int | None]] = {}
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                owners.setdefault(connection.laddr.port, set()).add(connection.pid)
    except (psutil.Error, OSError):
        return None
    return owners


_listeners = _Listeners()


def _listener(port: int) -> psutil.Process | None:
    """The process that listens on a TCP port; where the system does not tell whose it is, the only one like Forge."""
    owners = _listeners.of(port)
    if None in owners:
        candidates = [process for process in psutil.process_iter() if _entry_script(_arguments(process))]
    else:
        candidates = [process for pid in owners if pid for process in _open(pid) if _is_python(process)]
    return candidates[0] if len(candidates) == 1 else None


def _open(pid: int) -> Iterator[psutil.Process]:
    try:
        yield psutil.Process(pid)
    except psutil.Error:
        return


def _is_python(process: psutil.Process) -> bool:
    """Whether it can be Forge itself: behind a container's published port listens a proxy, not Forge."""
    arguments = _arguments(process)
    return bool(arguments) and ("python" in _base(arguments[0]).lower() or _entry_script(arguments))


def _entry_script(arguments: Sequence[str]) -> bool:
    return any(_base(argument) in ENTRY_SCRIPTS for argument in arguments[1:4])


def _base(path: str) -> str:
    return posixpath.basename(ntpath.basename(path))


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def _facts(process: psutil.Process) -> Known[Process]:
    arguments = _arguments(process)
    try:
        return Process(
            pid=process.pid,
            resident=process.memory_info().rss,
            started=process.create_time(),
            directory=_directory(process, arguments),
            visible_devices=_visible_devices(process),
            device_flag=_flag(arguments, "--gpu-device-id"),
            executable=arguments[0] if arguments else None,
            folder_flags=folder_flags([*arguments, *_more_arguments(process)]),
        )
    except psutil.Error as error:
        return _refused(error)


def _directory(process: psutil.Process, arguments: Sequence[str]) -> str:
    """The directory of the entry script when given as a path, else the working directory."""
    script = next((argument for argument in arguments[1:4] if _base(argument) in ENTRY_SCRIPTS), "")
    try:
        working = process.cwd()
    except (psutil.Error, OSError):
        working = ""
    return os.path.normpath(os.path.join(working, os.path.dirname(script))) if working else ""  # noqa: PTH118, PTH120


def _visible_devices(process: psutil.Process) -> str | None:
    return _environment(process).get("CUDA_VISIBLE_DEVICES")


def _more_arguments(process: psutil.Process) -> list[str]:
    """What Forge adds to its arguments from COMMANDLINE_ARGS (Forge dfdcbab, modules/paths_internal.py)."""
    try:
        return shlex.split(_environment(process).get("COMMANDLINE_ARGS", ""))
    except ValueError:
        return []


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _flag(arguments: Sequence[str], name: str) -> str | None:
    for here, following in zip(arguments, (*arguments[1:], ""), strict=False):
        if here == name:
            return following
        if here.startswith(name + "="):
            return here[len(name) + 1 :]
    return None
