"""The alerting rules, judged by promtool: each fires when it should, and not when it should not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from forgediag.plugins import checks
from forgediag_exporters.alerts_forge import OWN_ALERT
from forgediag_exporters.rules import ALERTS, RECORDINGS, RULES, SCRAPE, Alert, files

HERE = {"job": "forgediag", "instance": "box:9836"}
FORGE = {**HERE, "target": "forge"}
CARD = {**HERE, "gpu": "0", "uuid": "GPU-1"}
UP, DOWN = {'forge_up{target="forge"}': "1x90"}, {'forge_up{target="forge"}': "0x90"}
Series = Mapping[str, str]


def test_promtool_has_nothing_to_say_about_the_rules(promtool: str, tmp_path: Path) -> None:
    (tmp_path / RULES).write_text(files()[RULES], "utf-8")
    done = subprocess.run([promtool, "check", "rules", tmp_path / RULES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(ALERTS) + len(RECORDINGS)} rules found" in done.stdout


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
    for needed in (
        "for: ",
        "severity: ",
        "summary: ",
        "description: ",
        f'runbook_url: "docs/alerts.md#{name.lower()}"',
    ):
        assert needed in block[1]
    assert alert.steps


CARD_LABELS = 'gpu="0",uuid="GPU-1"'
TOTAL = {f'forge_gpu_memory_bytes{{{CARD_LABELS},kind="total"}}': "100x90"}
WORKS_ON = {f'forge_target_gpu_info{{target="forge",{CARD_LABELS}}}': "1x90"}
MB = 1024 * 1024
Firing = tuple[Series, str, Mapping[str, str], str, str]
"""Series, when it must fire, the alert's labels, its summary, and how its value is shown."""


def check(name: str, status: int) -> Series:
    """A Forge that answers, with one check."""
    return {**UP, f'forge_check_status{{target="forge",check="{name}"}}': f"{status}x90"}


def of_check(alert: str, name: str, status: int, summary: str, when: str) -> tuple[str, Firing]:
    return alert, (check(name, status), when, {**FORGE, "check": name}, summary, "")


def inference(**megabytes: int) -> Series:
    """The inference memory that is set, effective and recommended."""
    names = {"shown": "", "effective": "_effective", "recommended": "_recommended"}
    return {
        f'forge_inference_memory{names[name]}_bytes{{target="forge"}}': f"{size * MB}x90"
        for name, size in megabytes.items()
    }


def host(**sizes: str) -> Series:
    return {f'forge_host_memory_bytes{{kind="{kind}"}}': values for kind, values in sizes.items()}


def jobs(**outcomes: str) -> Series:
    return {f'forge_jobs_total{{target="forge",outcome="{outcome}"}}': values for outcome, values in outcomes.items()}


def latency(quick: str, slow: str) -> Series:
    name = 'forge_api_request_duration_seconds_bucket{target="forge",endpoint="options",le="'
    return {f'{name}1"}}': quick, f'{name}5"}}': slow, f'{name}+Inf"}}': slow}


FIRING: Mapping[str, Firing] = {
    "ForgeDown": (DOWN, "3m", FORGE, "Forge forge does not answer.", ""),
    "ForgeJobHangs": (
        {'forge_job_running{target="forge"}': "1x90", 'forge_job_progress_ratio{target="forge"}': "0.4x90"},
        "21m",
        FORGE,
        "The generation on Forge forge does not move.",
        "",
    ),
    "ForgeAnswersSlowly": (latency("0x90", "0+60x90"), "20m", FORGE, "Forge forge takes 4.8s to answer.", "4.8s"),
    "ForgeJobsFail": (
        jobs(failed="0+1x90", done="0+1x90"),
        "40m",
        FORGE,
        "More than a fifth of the generations on Forge forge fail.",
        "",
    ),
    "ForgeOptionsChanged": (
        {'forge_option_changes_total{target="forge"}': "2x4 3x20"},
        "6m",
        FORGE,
        "Options of Forge forge changed.",
        "",
    ),
    "InferenceMemoryNotInEffect": (
        inference(shown=4096, effective=1024),
        "6m",
        FORGE,
        "Forge forge does not work with the inference memory that is set.",
        "1Gi",
    ),
    "InferenceMemoryTooSmall": (
        inference(shown=1024, recommended=3072),
        "31m",
        FORGE,
        "Forge forge needs 2GiB more inference memory.",
        "2Gi",
    ),
    "WeightsSwappedNeedlessly": (
        {**inference(shown=4096, recommended=2048), 'forge_job_swapped_bytes{target="forge"}': f"{1024 * MB}x90"},
        "11m",
        FORGE,
        "Forge forge swaps 1GiB at every step and need not.",
        "1Gi",
    ),
    "ModelFileFaulty": (
        {
            'forge_model_files{target="forge",family="sdxl",format="safetensors",state="faulty"}': "1x90",
            'forge_model_files{target="forge",family="unknown",format="unknown",state="faulty"}': "1x90",
        },
        "6m",
        {**FORGE, "state": "faulty"},
        "Forge forge has 2 faulty model file(s).",
        "2",
    ),
    "ModelFileChanged": (
        {'forgediag_model_verify_files{target="forge",state="corrupted"}': "1x90"},
        "1m",
        {**FORGE, "state": "corrupted"},
        "1 model file(s) of Forge forge are corrupted.",
        "1",
    ),
    "ModelVerificationBehind": (
        {
            'forgediag_model_verify_oldest_timestamp_seconds{target="forge"}': "0x90",
            'forgediag_model_verify_round_seconds{target="forge"}': "600x90",
        },
        "85m",
        FORGE,
        "The verification of Forge forge's model files is behind.",
        "1h 25m 0s",
    ),
    **dict(
        [
            of_check(
                "ForgeStuckAfterFailedLoad",
                "forge-stuck",
                3,
                "Forge forge is stuck after a model failed to load.",
                "2m",
            ),
            of_check(
                "ForgeJobsSlower", "job-steps-slower", 2, "Steps on Forge forge take longer than they did.", "16m"
            ),
            of_check("ForgeCheckFailed", "host-ram", 3, "Check host-ram fails for Forge forge.", "3m"),
            of_check(
                "WrongModel",
                "model-will-load",
                3,
                "The model selected on Forge forge is missing, damaged, or does not load as selected.",
                "6m",
            ),
            of_check(
                "IncompatibleVersions",
                "torch-driver-gpu",
                3,
                "Versions on Forge forge's machine do not fit together.",
                "6m",
            ),
            of_check(
                "MemoryGrowsJobAfterJob",
                "job-memory-growth",
                2,
                "Memory of Forge forge grows with each generation.",
                "6m",
            ),
        ]
    ),
    "GpuMemoryAlmostFull": (
        {
            f'forge_gpu_memory_used_max_bytes{{{CARD_LABELS},window="15s"}}': "50x30",
            f'forge_gpu_memory_used_max_bytes{{{CARD_LABELS},window="300s"}}': "97x30",
            f'forge_gpu_memory_bytes{{{CARD_LABELS},kind="used"}}': "50x30",
            **TOTAL,
        },
        "3m",
        CARD,
        "GPU 0 was 97% full.",
        "97%",
    ),
    "GpuMemoryHeldByOthers": (
        {f'forge_gpu_process_memory_bytes{{{CARD_LABELS},process="other"}}': "40x90", **TOTAL, **WORKS_ON},
        "16m",
        CARD,
        "Other programs hold 40% of GPU 0.",
        "40%",
    ),
    "CudaOutOfMemory": (
        {'forge_cuda_ooms_total{target="forge"}': "2x4 3x20"},
        "6m",
        FORGE,
        "Forge forge ran out of GPU memory.",
        "",
    ),
    "CudaAllocationRetries": (
        {'forge_cuda_alloc_retries_total{target="forge"}': "0+1x90"},
        "20m",
        FORGE,
        "torch in Forge forge empties its cache to find memory.",
        "",
    ),
    "HostMemoryAlmostFull": (
        host(total="100x90", available="4x90"),
        "3m",
        HERE,
        "Only 4% of system memory is available on box:9836.",
        "4%",
    ),
    "HostMemoryRunsOut": (
        host(total="100x90", available="60-0.5x90"),
        "80m",
        HERE,
        "System memory of box:9836 will run out within two hours.",
        "",
    ),
    "SwapAlmostFull": (
        host(swap_total="100x90", swap_free="5x90"),
        "6m",
        HERE,
        "box:9836 has only 5% of its swap left.",
        "5%",
    ),
    "GpuLost": ({f"forge_gpu_up{{{CARD_LABELS}}}": "0x90"}, "2m", CARD, "GPU 0 of box:9836 is lost.", ""),
    "GpuThrottled": (
        {
            f'forge_gpu_throttled{{{CARD_LABELS},reason="hw_slowdown"}}': "1x90",
            f'forge_gpu_throttled{{{CARD_LABELS},reason="hw_thermal_slowdown"}}': "1x90",
        },
        "6m",
        CARD,
        "GPU 0 of box:9836 slows down.",
        "",
    ),
    "GpuHot": (
        {
            f"forge_gpu_temperature_celsius{{{CARD_LABELS}}}": "93x90",
            f'forge_gpu_temperature_limit_celsius{{{CARD_LABELS},kind="slowdown"}}': "95x90",
        },
        "6m",
        CARD,
        "GPU 0 of box:9836 is at 93 °C.",
        "93",
    ),
    "ForgediagDown": ({"up{}": "0x90"}, "6m", HERE, "forgediag box:9836 cannot be scraped.", ""),
    "ForgediagReportStale": (
        {"forgediag_snapshot_timestamp_seconds{}": "0x90"},
        "5m",
        HERE,
        "forgediag box:9836 shows old facts.",
        "5m 0s",
    ),
    "ForgediagSourceStale": (
        {'forgediag_poll_success{source="nvml"}': "0x30"},
        "6m",
        {**HERE, "source": "nvml"},
        "forgediag cannot read nvml.",
        "",
    ),
}
QUIET: Mapping[str, tuple[str, Series]] = {
    "a Forge that answers": ("ForgeDown", UP),
    "a Forge that restarts within a minute": ("ForgeDown", {'forge_up{target="forge"}': "1x5 0 0 1x20"}),
    "a long generation that moves": (
        "ForgeJobHangs",
        {'forge_job_running{target="forge"}': "1x90", 'forge_job_progress_ratio{target="forge"}': "0+0.01x90"},
    ),
    "a Forge that rests": (
        "ForgeJobHangs",
        {'forge_job_running{target="forge"}': "0x90", 'forge_job_progress_ratio{target="forge"}': "0x90"},
    ),
    "a Forge that answers within a second": ("ForgeAnswersSlowly", latency("0+60x90", "0+60x90")),
    "a failed load that was got over": ("ForgeStuckAfterFailedLoad", check("forge-stuck", 0)),
    "one failure among many": ("ForgeJobsFail", jobs(failed="0x10 1x80", done="0+3x90")),
    "two failures and nothing else": ("ForgeJobsFail", jobs(failed="0x10 1 2x80", done="0x90")),
    "steps as fast as ever": ("ForgeJobsSlower", check("job-steps-slower", 0)),
    "a warning": ("ForgeCheckFailed", check("host-ram", 2)),
    "checks of a Forge that is down": (
        "ForgeCheckFailed",
        {**DOWN, 'forge_check_status{target="forge",check="forge-reachable"}': "3x30"},
    ),
    "a check with an alert of its own": ("ForgeCheckFailed", check("model-will-load", 3)),
    "options that stay": ("ForgeOptionsChanged", {'forge_option_changes_total{target="forge"}': "7x90"}),
    "inference memory in effect": ("InferenceMemoryNotInEffect", inference(shown=4096, effective=4096)),
    "inference memory of which nobody knows whether it is in effect": (
        "InferenceMemoryNotInEffect",
        inference(shown=4096),
    ),
    "a little less than recommended": ("InferenceMemoryTooSmall", inference(shown=2700, recommended=3072)),
    "swapping that is needed": (
        "WeightsSwappedNeedlessly",
        {**inference(shown=2048, recommended=2048), 'forge_job_swapped_bytes{target="forge"}': f"{1024 * MB}x90"},
    ),
    "much inference memory and nothing swapped": (
        "WeightsSwappedNeedlessly",
        {**inference(shown=4096, recommended=2048), 'forge_job_swapped_bytes{target="forge"}': "0x90"},
    ),
    "whole files": (
        "ModelFileFaulty",
        {'forge_model_files{target="forge",family="sdxl",format="safetensors",state="whole"}': "9x90"},
    ),
    "files that are as they were": (
        "ModelFileChanged",
        {
            'forgediag_model_verify_files{target="forge",state="corrupted"}': "0x90",
            'forgediag_model_verify_files{target="forge",state="pending"}': "5x90",
        },
    ),
    "a verification in time": (
        "ModelVerificationBehind",
        {
            'forgediag_model_verify_oldest_timestamp_seconds{target="forge"}': "0x90",
            'forgediag_model_verify_round_seconds{target="forge"}': "604800x90",
        },
    ),
    "a model that loads": ("WrongModel", check("model-will-load", 0)),
    "versions that fit": ("IncompatibleVersions", check("torch-driver-gpu", 0)),
    "memory that stays": ("MemoryGrowsJobAfterJob", check("job-memory-growth", 0)),
    "a card with room": (
        "GpuMemoryAlmostFull",
        {f'forge_gpu_memory_used_max_bytes{{{CARD_LABELS},window="300s"}}': "95x30", **TOTAL},
    ),
    "a desktop on the card": (
        "GpuMemoryHeldByOthers",
        {
            f'forge_gpu_process_memory_bytes{{{CARD_LABELS},process="other"}}': "8x90",
            f'forge_gpu_process_memory_bytes{{{CARD_LABELS},process="forge"}}': "80x90",
            **TOTAL,
            **WORKS_ON,
        },
    ),
    "a card that is no Forge's": (
        "GpuMemoryHeldByOthers",
        {f'forge_gpu_process_memory_bytes{{{CARD_LABELS},process="other"}}': "90x90", **TOTAL},
    ),
    "an out of memory long ago": ("CudaOutOfMemory", {'forge_cuda_ooms_total{target="forge"}': "0 1x30"}),
    "a Forge that was started anew": ("CudaOutOfMemory", {'forge_cuda_ooms_total{target="forge"}': "0x30"}),
    "a retry now and then": (
        "CudaAllocationRetries",
        {'forge_cuda_alloc_retries_total{target="forge"}': "0x9 1x9 2x9 3x60"},
    ),
    "memory that is half full": ("HostMemoryAlmostFull", host(total="100x90", available="50x90")),
    "memory that comes and goes": ("HostMemoryRunsOut", host(total="100x90", available="40x90")),
    "swap that is free": ("SwapAlmostFull", host(swap_total="100x90", swap_free="90x90")),
    "a machine without swap": ("SwapAlmostFull", host(swap_total="0x90", swap_free="0x90")),
    "a card that answers": ("GpuLost", {f"forge_gpu_up{{{CARD_LABELS}}}": "1x90"}),
    "a card at its usual power limit": (
        "GpuThrottled",
        {f'forge_gpu_throttled{{{CARD_LABELS},reason="sw_power_cap"}}': "1x90"},
    ),
    "a warm card": (
        "GpuHot",
        {
            f"forge_gpu_temperature_celsius{{{CARD_LABELS}}}": "83x90",
            f'forge_gpu_temperature_limit_celsius{{{CARD_LABELS},kind="slowdown"}}': "95x90",
        },
    ),
    "a forgediag that is scraped": ("ForgediagDown", {"up{}": "1x90"}),
    "another job that is down": ("ForgediagDown", {'up{job="node"}': "0x90"}),
    "a report of now": ("ForgediagReportStale", {"forgediag_snapshot_timestamp_seconds{}": "0+60x90"}),
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


def test_every_check_that_a_rule_names_is_a_check() -> None:
    named = {
        name
        for alert in ALERTS
        for names in re.findall(r'check[=!]~"([^"]*)"', alert.expr)
        for name in names.split("|")
    }
    assert len(named) >= 10
    assert named <= {check.id for check in checks()}
    assert set(OWN_ALERT) - {"model-file-unchanged"} == {
        name for alert in ALERTS for names in re.findall(r'check=~"([^"]*)"', alert.expr) for name in names.split("|")
    }, "what has an alert is left out of ForgeCheckFailed (model-file-unchanged has ModelFileChanged)"


def test_every_alert_is_tried_firing_and_keeping_quiet() -> None:
    names = {alert.name for alert in ALERTS}
    assert len(names) == len(ALERTS) >= 20
    assert set(FIRING) == names
    assert {name for name, _ in QUIET.values()} == names


STUCK = {
    'forgediag_poll_success{source="host"}': "1x30",
    'forgediag_poll_last_success_timestamp_seconds{source="host"}': "0x30",
}


def full(series: Series) -> list[dict[str, str]]:
    """Input series as promtool wants them, from the job and instance that scrape forgediag."""
    return [{"series": _named(name), "values": values} for name, values in series.items()]


def _named(series: str) -> str:
    name, labels = series.rstrip("}").split("{", 1)
    here = "" if "job=" in labels else 'job="forgediag",'
    return f'{name}{{{here}instance="box:9836",{labels}}}'


def promtool_test(promtool: str, folder: Path, test: Mapping[str, object]) -> str:
    """What promtool says about one test of the rules; empty when it holds."""
    (folder / RULES).write_text(files()[RULES], "utf-8")
    suite = {"rule_files": [RULES], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    (folder / "test.yml").write_text(json.dumps(suite, ensure_ascii=False), "utf-8")
    done = subprocess.run([promtool, "test", "rules", folder / "test.yml"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", FIRING)
def test_an_alert_fires(name: str, promtool: str, tmp_path: Path) -> None:
    series, when, labels, summary, value = FIRING[name]
    alert = next(alert for alert in ALERTS if alert.name == name)
    said = re.sub(r"\{\{ \$value.*?\}\}", value, alert.description)
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
