"""What systemd is told, over a real socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgediag.cli.systemd import Supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is not on Windows: nothing to tell")


class Listener:
    """systemd's end of the socket."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(0)

    def heard(self) -> list[str]:
        said: list[str] = []
        while True:
            try:
                said.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return said


@pytest.fixture(params=["a path", "an abstract name"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "a path":
        return str(tmp_path / "notify")
    if sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's: none to try")
    return f"@forgediag-test-{os.getpid()}"


@pytest.fixture
def systemd(address: str) -> Iterator[Listener]:
    listener = Listener(address)
    yield listener
    listener.socket.close()


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(address: str, systemd: Listener) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.ready()
    supervisor.alive()
    supervisor.stopping()
    assert systemd.heard() == ["READY=1", "STOPPING=1"]


def test_a_watchdog_is_fed_twice_in_its_span(address: str, systemd: Listener) -> None:
    now = 0.0
    supervisor = Supervisor(
        {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, lambda: now
    )
    for second in range(21):
        now = float(second)
        supervisor.alive()
    assert systemd.heard() == ["WATCHDOG=1"] * 5


def test_a_watchdog_of_another_process_is_not_fed(address: str, systemd: Listener) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"})
    supervisor.alive()
    assert systemd.heard() == []


def test_without_systemd_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    Supervisor({}).ready()
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
