"""Twenty targets in one daemon, of which one hangs and one is down: nobody waits longer than he wanted to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forgediag.testing.forge import SimulatedForge

if TYPE_CHECKING:
    from forgediag.testing.prometheus import Prometheus
    from tests.e2e.conftest import Running, Start

WELL = [f"well{number}" for number in range(18)]
TIMEOUT = 2.0
LOOKED = "forgediag_poll_duration_seconds"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Mapping[str, str]]:
    """URLs by name: eighteen Forges that are well, one that hangs, one that is not there. They run in one thread."""
    loop, stack, urls = asyncio.new_event_loop(), AsyncExitStack(), dict[str, str]()

    async def begin() -> None:
        for name in [*WELL, "hangs", "down"]:
            forge = await stack.enter_async_context(SimulatedForge())
            urls[name] = forge.url
            if name == "hangs":
                forge.fault("hang")
            if name == "down":
                await forge.go_down()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
    yield urls
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture
def running(start: Start, fleet: Mapping[str, str], tmp_path: Path) -> Running:
    """A daemon with the default paces that watches the fleet, after its first look at those that are well.

    Its own look at the Forge that hangs outlasts the test: a probe that joins it waits for itself alone.
    """
    path = tmp_path / "fleet.toml"
    tables = "".join(f'[[forge]]\nname = "{name}"\nurl = "{url}"\ntimeout = 60\n' for name, url in fleet.items())
    path.write_text("hash_models = false\n" + tables, "utf-8")
    running = start("--config", str(path))
    running.wait(lambda: sum("files:well" in source for source in running.metrics()[LOOKED]) == len(WELL))
    return running


def test_no_probe_takes_longer_than_its_scrape_and_the_others_are_unaffected(
    running: Running, fleet: Mapping[str, str]
) -> None:
    def probe(name: str) -> tuple[str, float, str]:
        started = time.perf_counter()
        answer = running.get(f"/probe?target={name}", **{"X-Prometheus-Scrape-Timeout-Seconds": str(TIMEOUT)})
        assert answer.status_code == 200
        return name, time.perf_counter() - started, answer.text

    with ThreadPoolExecutor(20) as pool:
        answers = {name: (seconds, text) for name, seconds, text in pool.map(probe, fleet)}
    up = {name: f'\nforge_up{{target="{name}"}} 1.0\n' in text for name, (_, text) in answers.items()}
    assert up == {name: name in WELL for name in fleet}
    assert max(seconds for seconds, _ in answers.values()) < TIMEOUT
    assert max(answers[name][0] for name in WELL) < TIMEOUT - 0.5
    for name, (_, text) in answers.items():
        assert not any(f'target="{other}"' in text for other in fleet if other != name)
    page = running.get("/probes").text
    assert "hangs: failed after 1.5" in page


def test_the_answer_for_all_does_not_wait_for_those_that_do_not_answer(running: Running) -> None:
    running.wait(lambda: sum(running.metrics()["forge_up"].values()) == len(WELL))
    started = time.perf_counter()
    values = running.metrics()["forge_up"]
    assert time.perf_counter() - started < 1.0
    assert sum(values.values()) == len(WELL)
    assert len(values) == 20


def test_prometheus_finds_all_targets_by_itself_and_every_scrape_succeeds(
    running: Running, start_prometheus: Callable[..., Prometheus]
) -> None:
    server = start_prometheus([], discovery=[f"{running.url}/sd"])
    server.wait(lambda each: len(each.query("up")) == 20)
    time.sleep(3)
    assert {item["metric"]["instance"] for item in server.query("forge_up == 1")} == set(WELL)
    assert {item["metric"]["instance"] for item in server.query("forge_up == 0")} == {"hangs", "down"}
    assert [target["lastError"] for target in server.targets()] == [""] * 20
    (slowest,) = server.query("max(max_over_time(scrape_duration_seconds[1m]))")
    assert float(slowest["value"][1]) < 1.0
    (healthy,) = server.query('max(max_over_time(scrape_duration_seconds{instance=~"well.*"}[1m]))')
    assert float(healthy["value"][1]) < 0.5
