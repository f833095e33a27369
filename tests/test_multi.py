"""Probes of one configured target, service discovery, and the page of the last probes."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence

import pytest

from forgediag.config import TargetConfig
from forgediag.http import Request, Response
from forgediag.model import Gap, Nvml, Probe, Report
from forgediag.multi import PER_TARGET, REMEMBERED, Probes, alone, patience
from forgediag.sources.poll import Read
from forgediag.testing.reports import report


class Daemon:
    """Two targets; a probe lasts until it is let go."""

    def __init__(self) -> None:
        self.targets: Sequence[TargetConfig] = (TargetConfig("one", labels={"room": "lab"}), TargetConfig("two"))
        self.asked: list[tuple[str, float]] = []
        self.go = asyncio.Event()
        self.why: str | None = None

    async def probe(self, name: str, seconds: float) -> tuple[Report, Sequence[Read]]:
        self.asked.append((name, seconds))
        await self.go.wait()
        read = Read(1.0, "progress", 0.25, self.why)
        return alone(report(1), fresh=self.why is None, seconds=0.25), [read]


class Asked:
    """Probes of a daemon, and what they answer."""

    def __init__(self, *, at_once: int = 16, started: bool = True) -> None:
        self.daemon = Daemon()
        self.daemon.go.set()
        self.probes = Probes(lambda: self.daemon if started else None, self._render, at_once, wall=lambda: 0.0)
        self.rendered: list[Report] = []

    def _render(self, made: Report, _: Request) -> Response:
        self.rendered.append(made)
        return Response(200, {}, b"metrics")

    async def get(self, path: str, timeout: str = "", **query: str) -> Response:
        headers = {"host": "exporter:9836", "x-prometheus-scrape-timeout-seconds": timeout}
        answer = self.probes.pages[path](Request("GET", path, query, headers))
        return await answer if inspect.isawaitable(answer) else answer

    def one(self, path: str, **query: str) -> tuple[int, str]:
        answer = asyncio.run(self.get(path, **query))
        assert isinstance(answer.body, bytes)
        return answer.status, answer.body.decode()


def test_a_configured_target_is_probed_for_the_scrapes_timeout_less_half_a_second() -> None:
    asked = Asked()
    assert asked.one("/probe", target="two", timeout="3") == (200, "metrics")
    assert asked.daemon.asked == [("two", 2.5)]


@pytest.mark.parametrize("target", ["http://169.254.169.254/", "127.0.0.1:22", "ONE", "one ", "../one"])
def test_what_is_not_configured_is_never_asked_and_the_names_are_told(target: str) -> None:
    asked = Asked()
    status, text = asked.one("/probe", target=target)
    assert status == 400
    assert text.endswith("there is: one two\n")
    assert asked.daemon.asked == []


def test_a_probe_without_a_name_is_told_how() -> None:
    assert Asked().one("/probe") == (400, "a probe needs ?target=NAME; there is: one two\n")


@pytest.mark.parametrize("path", ["/probe", "/sd"])
def test_before_the_daemon_runs_there_is_nothing_to_probe(path: str) -> None:
    assert Asked(started=False).one(path, target="one") == (503, "forgediag is starting\n")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 9.5), ("10", 9.5), ("0.6", 0.3), ("1000", 59.5), ("nan", 9.5), ("inf", 9.5), ("-1", 9.5), ("soon", 9.5)],
)
def test_a_scrape_timeout_gives_the_time_to_wait(header: str, seconds: float) -> None:
    assert patience(header) == seconds


async def _crowd(asked: Asked, names: Sequence[str]) -> list[tuple[int, str]]:
    asked.daemon.go.clear()
    waiting = [asyncio.ensure_future(asked.get("/probe", target=name)) for name in names]
    await asyncio.sleep(0)
    asked.daemon.go.set()
    answers = [await item for item in waiting]
    return [(answer.status, answer.body.decode()) for answer in answers if isinstance(answer.body, bytes)]


def test_more_probes_at_once_than_allowed_are_told_to_come_back() -> None:
    async def act() -> list[tuple[int, str]]:
        asked = Asked(at_once=2)
        answers = await _crowd(asked, ["one", "two", "one"])
        assert (await asked.get("/probe", target="one")).status == 200
        return answers

    *taken, (status, text) = asyncio.run(act())
    assert [status for status, _ in taken] == [200, 200]
    assert status == 503
    assert "raise probes_at_once" in text


def test_one_target_that_hangs_leaves_places_for_the_others() -> None:
    async def act() -> list[tuple[int, str]]:
        return await _crowd(Asked(at_once=100), [*["one"] * (PER_TARGET + 1), "two"])

    answers = asyncio.run(act())
    assert [status for status, _ in answers] == [200] * PER_TARGET + [503, 200]
    assert answers[PER_TARGET][1].startswith(f"{PER_TARGET} probes of one are under way already")


def test_discovery_names_this_server_once_for_each_target() -> None:
    status, text = Asked().one("/sd")
    assert status == 200
    labels = {"__metrics_path__": "/probe", "__param_target": "one", "instance": "one", "room": "lab"}
    assert json.loads(text)[0] == {"targets": ["exporter:9836"], "labels": labels}
    assert json.loads(text)[1]["labels"]["__param_target"] == "two"


def test_the_page_shows_the_last_probes_with_their_log_and_nothing_of_it_is_markup() -> None:
    asked = Asked()
    assert "No probe yet" in asked.one("/probes")[1]
    asked.daemon.why = "http://x answers <script>alert(1)</script>"
    asked.one("/probe", target="one")
    status, text = asked.one("/probes")
    assert status == 200
    assert "1970-01-01 00:00:00Z" in text
    assert "failed after 0.250 s" in text
    assert "progress: http://x answers &lt;script&gt;" in text
    assert "<script" not in text


def test_the_page_has_an_end() -> None:
    async def act() -> Response:
        asked = Asked()
        for _ in range(REMEMBERED + 5):
            await asked.get("/probe", target="one")
        return await asked.get("/probes")

    answer = asyncio.run(act())
    assert isinstance(answer.body, bytes)
    assert answer.body.count(b"<details") == REMEMBERED


def test_a_probes_report_has_its_target_alone() -> None:
    whole = report(1)
    assert isinstance(whole.snapshot.nvml, Nvml)
    one = alone(whole, fresh=True, seconds=0.1)
    assert isinstance(one.snapshot.nvml, Gap)
    assert isinstance(one.snapshot.host, Gap)
    assert one.snapshot.own is None
    assert one.snapshot.targets == whole.snapshot.targets
    assert one.probe == Probe(whole.snapshot.targets[0].name, success=True, seconds=0.1)


def test_a_forge_not_seen_in_time_is_not_told_as_it_was_before() -> None:
    late = alone(report(1), fresh=False, seconds=2.5)
    forge = late.snapshot.targets[0].forge
    assert isinstance(forge, Gap)
    assert "gave no answer within 2.5 s" in forge.reason
    assert late.probe == Probe(late.snapshot.targets[0].name, success=False, seconds=2.5)
