"""A real forgediag process, asked over real sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

PROGRAM = str(Path(sys.executable).with_name("forgediag"))
LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")


class Running:
    """One forgediag process that serves."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"
        alone = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # a connection for each request
        self.client = httpx.Client(timeout=10, trust_env=False, limits=alone)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One answer; nothing is followed or retried."""
        return self.client.get(self.url + path, headers=headers)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Values by name and labels as text."""
        found: dict[str, dict[str, float]] = {}
        for line in self.get("/metrics").text.splitlines():
            if match := LINE.match(line):
                found.setdefault(match["name"], {})[match["labels"] or ""] = float(match["value"])
        return found

    def value(self, name: str, labels: str = "") -> float | None:
        """The value of the first series of that name whose labels contain `labels`."""
        return next((value for key, value in self.metrics().get(name, {}).items() if labels in key), None)

    def findings(self) -> list[Mapping[str, Any]]:
        """What /api/v1/findings lists."""
        found: list[Mapping[str, Any]] = self.get("/api/v1/findings").json()["findings"]
        return found

    def wait(self, condition: Callable[[], object], seconds: float = 15.0) -> float:
        """Seconds until a condition holds.

        Raises:
            AssertionError: it did not; the log is in the message.
        """
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            try:
                if condition():
                    return time.monotonic() - started
            except (httpx.TransportError, ValueError, KeyError):
                pass
            assert self.process.poll() is None, self.log.read_text("utf-8")
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; log:\n{self.log.read_text('utf-8')}")

    def stop(self, signum: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit status and seconds until the process has ended."""
        started = time.monotonic()
        self.process.send_signal(signum)
        return self.process.wait(10), time.monotonic() - started


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


Start = Callable[..., Running]


@contextmanager
def serving(tmp_path: Path) -> Iterator[Start]:
    """What starts `forgediag`; all of it has ended when the block ends."""
    started: list[Running] = []

    def act(*options: str, command: str = "run", wait: bool = True, **environ: str) -> Running:
        port = free_port()
        log = tmp_path / f"forgediag-{len(started)}.log"
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environ}
        arguments = [PROGRAM, *options, *command.split(), "--listen", f"127.0.0.1:{port}"]
        with log.open("w") as file:
            process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file, text=True, cwd=tmp_path)
        running = Running(process, port, log)
        started.append(running)
        if wait:
            running.wait(lambda: running.get("/readyz").status_code == 200)
        return running

    yield act
    for running in started:
        running.client.close()
        running.process.terminate()
        try:
            running.process.wait(5)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `forgediag` with global options, a command that serves, and environment; it has answered on return."""
    with serving(tmp_path) as act:
        yield act


@pytest.fixture(scope="module")
def start_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """As `start`, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("serving")) as act:
        yield act


@pytest.fixture
def forgediag(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a `forgediag` command to its end."""

    def act(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "120", **environ}
        return subprocess.run(
            [PROGRAM, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )

    return act
