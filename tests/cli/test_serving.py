"""The service around the daemon: what happens when the daemon itself ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.cli import Failure, serving
from forgediag.cli.serving import Service
from forgediag.config import Config
from forgediag.model import Gap, Known, Nvml
from forgediag.plugins import installed
from forgediag.profile.curve import Curve
from forgediag.sources import apart


class NoGpus:
    """A sampler on a machine without a card."""

    stuck: Gap | None = None
    lag: float | None = None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def job_running(self, running: bool, gpus: object = None) -> None:
        pass

    def snapshot(self) -> Known[Nvml]:
        return Gap("no card", "missing", expected=True)

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        return Curve()


class Crashing:
    """A daemon that ends at once, three times, and then stops the service."""

    started = 0
    stop: asyncio.Event | None = None

    def __init__(self, *_: object, **__: object) -> None:
        Crashing.started += 1

    async def run(self, _: asyncio.Event) -> None:
        if Crashing.started == 3 and Crashing.stop is not None:
            Crashing.stop.set()


def test_a_daemon_that_ends_by_itself_is_started_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def remember(stop: asyncio.Event, reload: asyncio.Event | None = None) -> None:
        Crashing.stop = stop

    monkeypatch.setattr(serving, "Daemon", Crashing)
    monkeypatch.setattr(serving, "RESTART", 0.05)
    monkeypatch.setattr(serving, "stop_on_signals", remember)
    service = Service(replace(Config(), listen="127.0.0.1:0"), lambda _: NoGpus())
    asyncio.run(service.run(None, lambda _: None))
    assert Crashing.started == 3
    assert caplog.text.count("it starts again in 0.05 s") >= 2


def listened(**settings: object) -> None:
    """Listen with these settings, and stop again."""

    async def act() -> None:
        service = Service(replace(Config(), targets=(), **settings), lambda _: NoGpus())  # type: ignore[arg-type] # any
        server = await service._listen()
        await server.close()

    asyncio.run(act())


USERS = "basic_auth_users:\n  alice: $2b$04$UVVzeaNhLuyBdvVcOXSV1OqGUuAdL1WnI7rIbzIPPYejQkyjFxccq\n"


def test_an_address_for_everybody_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    listened(listen="0.0.0.0:0")
    assert "everybody who reaches this machine" in caplog.text
    assert "--web-config FILE" in caplog.text


def test_passwords_without_tls_are_warned_about_too(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(USERS, "utf-8")
    listened(listen="0.0.0.0:0", web_config=str(tmp_path / "web.yml"))
    assert "without TLS: passwords cross the network readable" in caplog.text
    assert "everybody" not in caplog.text


def test_nobody_is_warned_on_loopback(caplog: pytest.LogCaptureFixture) -> None:
    listened(listen="127.0.0.1:0")
    assert caplog.text == ""


def test_a_web_config_that_cannot_be_used_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("users: 1\n", "utf-8")
    with pytest.raises(Failure, match="users is not supported") as caught:
        listened(web_config=str(tmp_path / "web.yml"))
    assert caught.value.exit_code == 2


def test_where_no_other_process_can_be_had_the_plugins_are_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart.sys, "executable", "/nowhere/python")
    service = Service(replace(Config(), targets=()), lambda _: NoGpus())
    assert service._installed == installed()
