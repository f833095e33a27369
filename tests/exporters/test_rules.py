"""The alerting rules, judged by promtool: each fires when it should, and not when it should not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from forgediag_exporters.rules import ALERTS, RULES, SCRAPE, Alert, files

HERE = {"job": "forgediag", "instance": "box:9836"}
FORGE = {**HERE, "target": "forge"}
CARD = {**HERE, "gpu": "0", "uuid": "GPU-1"}
UP, DOWN = {'forge_up{target="forge"}': "1x30"}, {'forge_up{target="forge"}': "0x30"}
Series = Mapping[str, str]


def test_promtool_has_nothing_to_say_about_the_rules(promtool: str, tmp_path: Path) -> None:
    (tmp_path / RULES).write_text(files()[RULES], "utf-8")
    done = subprocess.run([promtool, "check", "rules", tmp_path / RULES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_promtool_has_nothing_to_say_about_the_scrape_configuration(promtool: str, tmp_path: Path) -> None:
    for name, content in files().items():
        (tmp_path / name).write_text(content, "utf-8")
    config = f"rule_files: [{RULES}]\n" + files()[SCRAPE]
    (tmp_path / "prometheus.yml").write_text(config, "utf-8")
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_an_alert_says_what_it_is_about_and_what_to_do(alert: Alert) -> None:
    name = alert.name
    block = re.search(rf"- alert: {name}\n(.*?)(?=\n      - alert:|\Z)", files()[RULES], re.DOTALL)
    assert block is not None
    for needed in ("for: ", "severity: ", "summary: ", "description: ", f"runbook_url: docs/alerts.md#{name.lower()}"):
        assert needed in block[1]
    assert alert.steps


FIRING: Mapping[str, tuple[Series, str, Mapping[str, str], str]] = {
    "ForgeDown": (DOWN, "3m", FORGE, "Forge forge does not answer."),
    "ForgeCheckFailed": (
        {**UP, 'forge_check_status{target="forge",check="host-ram"}': "3x30"},
        "3m",
        {**FORGE, "check": "host-ram"},
        "Check host-ram fails for Forge forge.",
    ),
    "GpuMemoryAlmostFull": (
        {
            'forge_gpu_memory_used_max_bytes{gpu="0",uuid="GPU-1",window="15s"}': "50x30",
            'forge_gpu_memory_used_max_bytes{gpu="0",uuid="GPU-1",window="300s"}': "97x30",
            'forge_gpu_memory_bytes{gpu="0",uuid="GPU-1",kind="total"}': "100x30",
            'forge_gpu_memory_bytes{gpu="0",uuid="GPU-1",kind="used"}': "50x30",
        },
        "3m",
        CARD,
        "GPU 0 was 97% full.",
    ),
    "CudaOutOfMemory": (
        {'forge_cuda_ooms_total{target="forge"}': "2x4 3x20"},
        "6m",
        FORGE,
        "Forge forge ran out of GPU memory.",
    ),
    "ForgediagSourceStale": (
        {'forgediag_poll_success{source="nvml"}': "0x30"},
        "6m",
        {**HERE, "source": "nvml"},
        "forgediag cannot read nvml.",
    ),
}
QUIET: Mapping[str, tuple[str, Series]] = {
    "a Forge that answers": ("ForgeDown", UP),
    "a Forge that restarts within a minute": ("ForgeDown", {'forge_up{target="forge"}': "1x5 0 0 1x20"}),
    "a warning": ("ForgeCheckFailed", {**UP, 'forge_check_status{target="forge",check="host-ram"}': "2x30"}),
    "checks of a Forge that is down": (
        "ForgeCheckFailed",
        {**DOWN, 'forge_check_status{target="forge",check="forge-reachable"}': "3x30"},
    ),
    "a card with room": (
        "GpuMemoryAlmostFull",
        {
            'forge_gpu_memory_used_max_bytes{gpu="0",uuid="GPU-1",window="300s"}': "95x30",
            'forge_gpu_memory_bytes{gpu="0",uuid="GPU-1",kind="total"}': "100x30",
        },
    ),
    "an out of memory long ago": ("CudaOutOfMemory", {'forge_cuda_ooms_total{target="forge"}': "0 1x30"}),
    "a Forge that was started anew": ("CudaOutOfMemory", {'forge_cuda_ooms_total{target="forge"}': "0x30"}),
    "a source that works": (
        "ForgediagSourceStale",
        {
            'forgediag_poll_success{source="nvml"}': "1x30",
            'forgediag_poll_last_success_timestamp_seconds{source="nvml"}': "0+60x30",
        },
    ),
    "the source that is a Forge which is down": (
        "ForgediagSourceStale",
        {
            **DOWN,
            'forgediag_poll_success{source="forge:forge"}': "0x30",
            'forgediag_poll_last_success_timestamp_seconds{source="forge:forge"}': "0x30",
        },
    ),
}
STUCK = {
    'forgediag_poll_success{source="host"}': "1x30",
    'forgediag_poll_last_success_timestamp_seconds{source="host"}': "0x30",
}


def full(series: Series) -> list[dict[str, str]]:
    """Input series as promtool wants them, from the job and instance that scrape forgediag."""
    return [
        {"series": name.replace("{", '{job="forgediag",instance="box:9836",', 1), "values": values}
        for name, values in series.items()
    ]


def promtool_test(promtool: str, folder: Path, test: Mapping[str, object]) -> str:
    """What promtool says about one test of the rules; empty when it holds."""
    (folder / RULES).write_text(files()[RULES], "utf-8")
    suite = {"rule_files": [RULES], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    (folder / "test.yml").write_text(json.dumps(suite), "utf-8")
    done = subprocess.run([promtool, "test", "rules", folder / "test.yml"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", FIRING)
def test_an_alert_fires(name: str, promtool: str, tmp_path: Path) -> None:
    series, when, labels, summary = FIRING[name]
    alert = next(alert for alert in ALERTS if alert.name == name)
    said = alert.description.replace("{{ $value | humanizePercentage }}", "97%")
    for label, value in labels.items():
        said = said.replace(f"{{{{ $labels.{label} }}}}", value)
    expected = {
        "exp_labels": {**labels, "severity": alert.severity},
        "exp_annotations": {
            "summary": summary,
            "description": said,
            "runbook_url": f"docs/alerts.md#{name.lower()}",
        },
    }
    test = {
        "input_series": full(series),
        "alert_rule_test": [{"eval_time": when, "alertname": name, "exp_alerts": [expected]}],
    }
    assert promtool_test(promtool, tmp_path, test) == ""


@pytest.mark.parametrize("name", QUIET)
def test_an_alert_keeps_quiet_about(name: str, promtool: str, tmp_path: Path) -> None:
    alert, series = QUIET[name]
    test = {
        "input_series": full(series),
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []} for minute in (15, 20, 25)
        ],
    }
    assert promtool_test(promtool, tmp_path, test) == ""


def test_a_source_that_stopped_being_read_is_stale_though_its_last_read_went_well(
    promtool: str, tmp_path: Path
) -> None:
    expr = 'count(ALERTS{alertname="ForgediagSourceStale", alertstate="firing", source="host"})'
    test = {
        "input_series": full(STUCK),
        "promql_expr_test": [
            {"expr": expr, "eval_time": "9m", "exp_samples": []},
            {"expr": expr, "eval_time": "12m", "exp_samples": [{"labels": "{}", "value": 1}]},
        ],
    }
    assert promtool_test(promtool, tmp_path, test) == ""


def test_a_rule_test_that_is_wrong_is_noticed(promtool: str, tmp_path: Path) -> None:
    test = {
        "input_series": full(DOWN),
        "alert_rule_test": [{"eval_time": "3m", "alertname": "ForgeDown", "exp_alerts": []}],
    }
    assert "FAILED" in promtool_test(promtool, tmp_path, test)
