"""Real Prometheus servers scrape a real forgediag: both see a short spike, every panel has an answer on the demo."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.prometheus import Prometheus
from forgediag.testing.timeline import CYCLE
from forgediag_exporters.grafana import DASHBOARDS, dashboard
from forgediag_exporters.panel import Variable
from forgediag_exporters.rules import ALERTS, RULES, files

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


SHOWN = {
    "CudaOutOfMemory",
    "ForgeCheckFailed",
    "ForgeDown",
    "ForgeJobsFail",
    "ForgeOptionsChanged",
    "GpuLost",
    "GpuThrottled",
    "InferenceMemoryNotInEffect",
    "ModelFileFaulty",
}
"""Alerts whose condition the demo's day brings about, be it for a moment; others do so at its own speed, or never."""

QUERIES = [
    (f"{shown.title} / {panel['title']} {target['refId']}", target["expr"])
    for shown in DASHBOARDS
    for panel in dashboard(shown)["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
]
VARIABLES = [variable for shown in DASHBOARDS for variable in shown.variables]
FILLED = {"$__rate_interval": "30s", "$__range": "1m", **{f"${variable.name}": ".+" for variable in VARIABLES}}
SPEED = 4.0
DAY = sum(action.after for action in CYCLE) / SPEED


def filled(expr: str) -> str:
    for name, text in FILLED.items():
        expr = expr.replace(name, text)
    return expr


@pytest.fixture(scope="module")
def day(
    start_once: Start, start_prometheus: Callable[..., Prometheus], tmp_path_factory: pytest.TempPathFactory
) -> Prometheus:
    """A Prometheus that has scraped a whole day of the demo, each fault of it included."""
    running: Running = start_once(command=f"demo --speed {SPEED:g}")
    rules: Path = tmp_path_factory.mktemp("rules") / RULES
    rules.write_text(files()[RULES], "utf-8")
    server = start_prometheus([f"127.0.0.1:{running.port}"], [rules])
    server.wait(lambda each: value(each, f"count_over_time(up[{DAY + 60:.0f}s])") >= DAY + 8, DAY + 60)
    return server


def found(server: Prometheus, expr: str) -> int:
    """How many series an expression had at any moment of the day."""
    series = server.query_range(filled(expr), DAY + 8)
    return sum(any(math.isfinite(float(number)) for _, number in each["values"]) for each in series)


@pytest.mark.slow
def test_every_panel_of_every_dashboard_has_an_answer_on_the_demo(day: Prometheus) -> None:
    answers = {name: found(day, expr) for name, expr in QUERIES}
    print(*(f"{count:4} {name}" for name, count in answers.items()), sep="\n")
    assert [name for name, count in answers.items() if not count] == []
    assert value(day, "min(min_over_time(up[2m]))") == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_has_values_on_the_demo(variable: Variable, day: Prometheus) -> None:
    parsed = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable.query))
    assert parsed is not None
    assert day.label_values(parsed[2], parsed[1])


@pytest.mark.slow
def test_every_rule_is_evaluated_on_the_demo_and_its_troubles_are_found(day: Prometheus) -> None:
    assert {rule["name"]: rule["lastError"] for rule in day.rules() if rule["health"] != "ok"} == {}
    answers = {alert.name: found(day, alert.expr) for alert in ALERTS}
    print(*(f"{count:4} {name}" for name, count in answers.items()), sep="\n")
    assert {name for name, count in answers.items() if count} >= SHOWN
