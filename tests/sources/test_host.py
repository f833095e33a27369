"""This machine: memory, and a Forge found by its port among real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from forgediag.model import Gap, Host, Process
from forgediag.sources.host import ProcessFinder, is_local, read_host

LISTENER = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


@contextmanager
def listening(tmp_path: Path, *arguments: str, **environ: str) -> Iterator[tuple[int, int]]:
    """A python process started like Forge that listens on a free port: (pid, port)."""
    script = tmp_path / "launch.py"
    script.write_text(LISTENER, "utf-8")
    command = [sys.executable, "launch.py", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ})
    assert process.stdout is not None
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def found(url: str) -> tuple[ProcessFinder, Process | Gap]:
    finder = ProcessFinder(url)
    finder.find()
    return finder, finder.read()


def test_the_hosts_memory() -> None:
    host = read_host()
    assert isinstance(host, Host)
    assert 0 < host.ram_available <= host.ram_total


def test_a_system_that_tells_nothing_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("no /proc")

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    host = read_host()
    assert isinstance(host, Gap)
    assert "no /proc" in host.reason


def test_loopback_names_are_local() -> None:
    assert is_local("http://localhost:7860")
    assert is_local("http://[::1]:7860")
    assert not is_local("http://10.0.0.2:7860")


def test_the_process_behind_the_port_is_forge(tmp_path: Path) -> None:
    with listening(tmp_path, "--gpu-device-id", "1", CUDA_VISIBLE_DEVICES="0,1") as (pid, port):
        finder, process = found(f"http://127.0.0.1:{port}")
        assert isinstance(process, Process)
        assert process.pid == pid
        assert process.resident > 1_000_000
        assert process.directory == str(tmp_path.resolve())
        assert (process.visible_devices, process.device_flag) == ("0,1", "1")
    ended = finder.read()
    assert isinstance(ended, Gap)
    finder.find()
    assert isinstance(finder.read(), Gap)


def test_a_flag_may_have_its_value_behind_an_equals_sign(tmp_path: Path) -> None:
    with listening(tmp_path, "--gpu-device-id=2") as (_, port):
        process = found(f"http://127.0.0.1:{port}")[1]
        assert isinstance(process, Process)
        assert process.device_flag == "2"


def test_the_only_process_started_like_forge_will_do_where_ports_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> None:
        raise psutil.AccessDenied(msg=kind)

    with listening(tmp_path) as (pid, port):
        monkeypatch.setattr(psutil, "net_connections", refuse)
        monkeypatch.setattr(psutil, "process_iter", lambda: [psutil.Process(pid), psutil.Process()])
        process = found(f"http://127.0.0.1:{port}")[1]
        assert isinstance(process, Process)
        assert process.pid == pid


def test_a_proxy_behind_the_port_is_not_forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def proxy(_: psutil.Process) -> list[str]:
        return ["/usr/bin/docker-proxy", "-proto", "tcp"]

    with listening(tmp_path) as (_, port):
        monkeypatch.setattr(psutil.Process, "cmdline", proxy)
        process = found(f"http://127.0.0.1:{port}")[1]
        assert isinstance(process, Gap)
        assert "in a container" in process.reason


def test_nothing_behind_the_port_is_a_gap() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = found(f"http://127.0.0.1:{port}")[1]
    assert isinstance(process, Gap)
    assert process.kind == "missing"


def test_a_remote_forges_process_is_an_expected_gap() -> None:
    process = found("http://10.1.2.3:7860")[1]
    assert isinstance(process, Gap)
    assert process.expected


def test_a_process_of_another_user_is_a_gap_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    with listening(tmp_path) as (_, port):
        known, _ = found(f"http://127.0.0.1:{port}")
        monkeypatch.setattr(psutil.Process, "memory_info", refuse)
        for process in (known.read(), found(f"http://127.0.0.1:{port}")[1]):
            assert isinstance(process, Gap)
            assert "same user" in process.reason


def test_what_a_process_hides_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    with listening(tmp_path) as (_, port):
        for hidden in ("cwd", "environ"):
            monkeypatch.setattr(psutil.Process, hidden, refuse)
        process = found(f"http://127.0.0.1:{port}")[1]
        assert isinstance(process, Process)
        assert (process.directory, process.visible_devices) == ("", None)


def test_a_process_not_looked_for_yet_is_no_finding() -> None:
    process = ProcessFinder("http://127.0.0.1:1").read()
    assert isinstance(process, Gap)
    assert process.expected


def test_those_who_ask_together_share_a_walk_that_began_after_they_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk, began, walks, asked = psutil.net_connections, threading.Event(), list[str](), threading.Barrier(7)

    def slow(kind: str) -> object:
        walks.append(kind)
        if len(walks) == 1:
            began.set()
            asked.wait(10)
            time.sleep(0.5)  # the six ask meanwhile
        return walk(kind)

    def late() -> Process | Gap:
        asked.wait(10)
        return found(url)[1]

    monkeypatch.setattr(psutil, "net_connections", slow)
    with listening(tmp_path) as (pid, port), ThreadPoolExecutor(7) as crew:
        url = f"http://127.0.0.1:{port}"
        first = crew.submit(found, url)
        began.wait(10)
        others = [crew.submit(late) for _ in range(6)]
        answers = [first.result()[1], *(other.result() for other in others)]
    assert [answer.pid for answer in answers if isinstance(answer, Process)] == [pid] * 7
    assert len(walks) <= 3
