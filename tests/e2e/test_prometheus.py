"""Real Prometheus servers scrape a real forgediag: both see a short spike, every panel has an answer on the demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.prometheus import Prometheus
from forgediag_exporters.grafana import VARIABLES, dashboard

if TYPE_CHECKING:
    from tests.e2e.conftest import Running, Start
    from tests.fake_nvml.control import FakeNvml

GIB = 1024**3
CARD = "gpus = 1\ngpu.0.total = 12G\ngpu.0.used = 4G\n"
PEAK = 'max(forge_gpu_memory_used_max_bytes{window="15s"})'


def value(prometheus: Prometheus, expr: str) -> float:
    found = prometheus.query(expr)
    return float(found[0]["value"][1]) if found else -1.0


def test_two_servers_both_see_a_spike_of_30_ms(
    start: Start,
    make_fake_nvml: Callable[[str], FakeNvml],
    start_prometheus: Callable[..., Prometheus],
) -> None:
    fake = make_fake_nvml(CARD)
    with ForgeThread(Setup(pace=Pace(step=0.5))) as forge:
        running = start("--forge", forge.url, FORGEDIAG_PACE_PROGRESS="0.2", **fake.environment)
        servers = [start_prometheus([f"127.0.0.1:{running.port}"]) for _ in range(2)]
        for server in servers:
            server.wait(lambda each: value(each, PEAK) > 0)
        forge.call(lambda simulated: simulated.start_job(steps=40))
        running.wait(lambda: running.value("forge_job_running") == 1)
        assert value(servers[0], PEAK) < 5 * GIB
        fake.spike(0, 4 * GIB, 0.03)
        for server in servers:
            server.wait(lambda each: value(each, PEAK) >= 8 * GIB, 10)
        for server in servers:
            assert value(server, "min(min_over_time(up[1m]))") == 1.0
            assert [target["lastError"] for target in server.targets()] == [""]


QUERIES = [
    (panel["title"], target["expr"])
    for panel in dashboard()["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
]
FILLED = {"$__rate_interval": "30s", "$__range": "1m", **{f"${name}": ".+" for name, *_ in VARIABLES}}


def filled(expr: str) -> str:
    for name, text in FILLED.items():
        expr = expr.replace(name, text)
    return expr


@pytest.mark.slow
def test_every_panel_of_the_dashboard_has_an_answer_on_the_demo(
    start: Start, start_prometheus: Callable[..., Prometheus]
) -> None:
    running: Running = start(command="demo")
    server = start_prometheus([f"127.0.0.1:{running.port}"])
    server.wait(lambda each: value(each, "forge_jobs_total{outcome='done'}") >= 1, 60)
    server.wait(lambda each: each.query("forge_inference_memory_recommended_bytes"), 30)
    time.sleep(6)
    assert [f"{title}: {expr}" for title, expr in QUERIES if not server.query(filled(expr))] == []
    assert value(server, "min(min_over_time(up[2m]))") == 1.0
