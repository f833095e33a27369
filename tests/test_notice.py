"""A notice when system memory runs short."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forgediag.config import NoticeConfig
from forgediag.http import Request, Response, serve
from forgediag.model import MB, Gap, Host, Known, Report
from forgediag.notice import Notices
from forgediag.testing.facts import HOST
from forgediag.testing.reports import report

SHORT = replace(HOST, ram_available=100 * MB)


def given(host: Known[Host]) -> Report:
    made = report()
    return replace(made, snapshot=replace(made.snapshot, host=host))


def send(config: NoticeConfig, *reports: Report, times: tuple[float, ...] = (0.0,) * 9) -> None:
    moments = iter(times)
    now = [0.0]

    async def act() -> None:
        notices = Notices(config, clock=lambda: now[0])
        for item in reports:
            now[0] = next(moments)
            notices.follow(item)
            if notices._sending is not None:
                await notices._sending

    asyncio.run(act())


def writes(path: Path) -> tuple[str, ...]:
    """A command that adds what it is told to a file."""
    return sys.executable, "-c", f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read() + chr(10))"


def test_a_command_is_told_what_is_short(tmp_path: Path) -> None:
    send(NoticeConfig(512, command=writes(tmp_path / "told")), given(SHORT))

    (line,) = (tmp_path / "told").read_text().splitlines()
    told = json.loads(line)
    assert (told["event"], told["ram_available_bytes"]) == ("ram-low", 100 * MB)
    assert "forge" in told["forge_resident_bytes"]


def test_enough_memory_or_none_known_is_no_notice(tmp_path: Path) -> None:
    send(NoticeConfig(512, command=writes(tmp_path / "told")), given(HOST), given(Gap("not read")))

    assert not (tmp_path / "told").exists()


def test_notices_are_not_sent_too_often(tmp_path: Path) -> None:
    config = NoticeConfig(512, command=writes(tmp_path / "told"), every=60.0)
    send(config, given(SHORT), given(SHORT), given(SHORT), times=(0.0, 59.0, 61.0))

    assert len((tmp_path / "told").read_text().splitlines()) == 2


def test_a_webhook_is_posted_the_same(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    async def act() -> None:
        def handle(request: Request) -> Response:
            seen.append((request.method, request.path))
            return Response(503, {}, b"no")

        server = await serve(handle, "127.0.0.1", 0)
        notices = Notices(NoticeConfig(512, webhook=f"{server.url}/hook"))
        notices.follow(given(SHORT))
        assert notices._sending is not None
        await notices._sending
        await server.close()

    asyncio.run(act())
    assert seen == [("POST", "/hook")]
    assert "the webhook answered 503" in caplog.text


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (NoticeConfig(512, webhook="http://127.0.0.1:9/"), "the webhook cannot be reached"),
        (NoticeConfig(512, command=("/nowhere/x",)), "/nowhere/x cannot be run: No such file"),
        (NoticeConfig(512, command=(sys.executable, "-c", "raise SystemExit(3)")), "ended with status 3"),
    ],
)
def test_a_notice_that_fails_is_one_line_in_the_log(
    config: NoticeConfig, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    send(config, given(SHORT))

    assert said in caplog.text


def test_a_command_that_does_not_end_is_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("forgediag.notice.PATIENCE", 0.2)
    send(NoticeConfig(512, command=(sys.executable, "-c", "import time; time.sleep(60)")), given(SHORT))

    assert "was ended after 0.2 s" in caplog.text
