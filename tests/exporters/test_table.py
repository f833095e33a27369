"""The metric table: what must hold for every metric."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from forgediag.model import (
    MB,
    Distribution,
    Files,
    Flags,
    Gap,
    Probe,
    Report,
    Snapshot,
    Tally,
    Target,
)
from forgediag.testing.facts import FORGE, PROCESS, VAE, options, vae_file
from forgediag.testing.reports import JOB_BOUNDS, distribution, report, with_target
from forgediag_exporters.metric import Metric
from forgediag_exporters.metrics import METRICS

Samples = Callable[[str, Report], Mapping[tuple[str, ...], float | Distribution]]
GAP = Gap("not known", "missing")


CONTRACT = {
    "forge_up": {"target"},
    "forge_info": {"target", "version", "commit", "fork"},
    "forge_api_request_duration_seconds": {"target", "endpoint"},
    "forge_inference_memory_bytes": {"target"},
    "forge_gpu_weights_bytes": {"target"},
    "forge_inference_memory_effective_bytes": {"target"},
    "forge_inference_memory_recommended_bytes": {"target"},
    "forge_option_changes": {"target"},
    "forge_model_loaded": {"target", "model"},
    "forge_job_running": {"target"},
    "forge_job_progress_ratio": {"target"},
    "forge_jobs": {"target", "outcome"},
    "forge_job_duration_seconds": {"target"},
    "forge_cuda_memory_bytes": {"target", "kind"},
    "forge_cuda_memory_peak_bytes": {"target", "kind"},
    "forge_cuda_alloc_retries": {"target"},
    "forge_cuda_ooms": {"target"},
    "forge_process_resident_memory_bytes": {"target"},
    "forge_gpu_info": {"gpu", "uuid", "name", "driver"},
    "forge_gpu_memory_bytes": {"gpu", "uuid", "kind"},
    "forge_gpu_memory_used_max_bytes": {"gpu", "uuid", "window"},
    "forge_gpu_process_memory_bytes": {"gpu", "uuid", "process"},
    "forge_gpu_utilization_ratio": {"gpu", "uuid"},
    "forge_gpu_temperature_celsius": {"gpu", "uuid"},
    "forge_gpu_power_watts": {"gpu", "uuid"},
    "forge_check_status": {"target", "check"},
    "forge_check_duration_seconds": {"target", "check"},
    "forge_model_files": {"target", "family", "format", "state"},
    "forgediag_build_info": set[str](),
    "forgediag_poll_success": {"source"},
    "forgediag_poll_duration_seconds": {"source"},
    "forgediag_sampler_lag_seconds": set[str](),
}
"""The families users may rely on, with their labels (a counter without its `_total`)."""


def series(given: Report) -> int:
    """As Prometheus counts them: each bucket is one."""
    return sum(
        len(value.bounds) + 3 if isinstance(value, Distribution) else 1
        for metric in METRICS
        for _, value in metric.samples(given)
    )


@pytest.mark.parametrize(("name", "labels"), CONTRACT.items(), ids=CONTRACT)
def test_every_promised_family_is_there_and_fed_by_a_full_report(samples: Samples, name: str, labels: set[str]) -> None:
    assert labels <= {label for metric in METRICS if metric.name == name for label in metric.labels}
    assert samples(name, report(seconds=5))


@pytest.mark.parametrize("metric", METRICS, ids=[metric.name for metric in METRICS])
def test_a_metric_is_declared_by_prometheus_own_rules(metric: Metric) -> None:
    assert re.fullmatch(r"(forge|forgediag|process)(_[a-z]+)+", metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_milliseconds", "_megabytes"))
    assert metric.help.endswith(".")
    assert metric.question.endswith("?")
    assert metric.help.isascii()
    assert "le" not in metric.labels
    assert len(set(metric.labels)) == len(metric.labels)
    if metric.name.endswith("_info"):
        assert {value for _, value in metric.samples(report())} == {1.0}


@pytest.mark.parametrize("metric", METRICS, ids=[metric.name for metric in METRICS])
def test_no_two_series_of_a_metric_are_the_same(metric: Metric) -> None:
    full = replace(report(3, seconds=50), probe=Probe("forge", success=True, seconds=0.1))
    counts = Counter(labels for labels, _ in metric.samples(full))
    assert set(counts.values()) == {1}
    assert {len(labels) for labels in counts} == {len(metric.labels)}


def test_names_are_unique_also_with_the_endings_of_histograms() -> None:
    names = [
        metric.name + ending
        for metric in METRICS
        for ending in (("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",))
    ]
    assert len(set(names)) == len(names)


def test_a_report_has_as_many_series_as_nvitop_exporter_or_more() -> None:
    assert series(report(1)) >= 112
    assert series(report(2)) - series(report(1)) >= 42
    assert series(report(64)) >= 112 + 63 * 42


def test_it_has_as_many_also_where_no_forge_is_to_be_seen() -> None:
    def alone(gpus: int) -> Report:
        given = with_target(report(gpus), forge=GAP, process=GAP, install=GAP, files=GAP, gpu=GAP)
        tally = Tally(job_seconds=distribution(JOB_BOUNDS, 0.0, 0))
        return replace(given, advice={}, snapshot=replace(given.snapshot, tallies={"forge": tally}))

    assert series(alone(1)) >= 112
    assert series(alone(2)) - series(alone(1)) >= 42


def test_no_label_holds_a_path_a_prompt_or_a_secret() -> None:
    secret = "hunter2"
    given = with_target(
        report(),
        forge=replace(
            FORGE,
            options=options(samples_save=f"/home/{secret}", prompt=secret),
            flags=Flags({"api_auth": secret}),
        ),
        process=replace(PROCESS, directory=f"/home/{secret}", executable=f"/home/{secret}/python"),
        files=Files((vae_file(path=VAE),), {f"/home/{secret}/model.ckpt": "no permission"}),
    )
    values = [value for metric in METRICS for labels, _ in metric.samples(given) for value in labels]
    assert values
    assert [value for value in values if secret in value or "/" in value or "\\" in value] == []


def test_only_forges_and_sources_stand_for_themselves_when_nothing_is_known(samples: Samples) -> None:
    target = Target("forge", GAP, GAP, GAP, GAP, GAP)
    nothing = Report(Snapshot(7.0, (target,), GAP, GAP), (), (), {"forge": GAP})
    known = {metric.name for metric in METRICS if list(metric.samples(nothing))}
    assert known == {
        "forge_up",
        "forge_findings",
        "forgediag_verdict",
        "forgediag_build_info",
        "forgediag_snapshot_timestamp_seconds",
    }
    assert samples("forge_up", nothing) == {("forge",): 0.0}


def test_forgediag_tells_how_it_is_itself(samples: Samples) -> None:
    given = report(seconds=3, start=1000.0)
    assert samples("forgediag_poll_success", given)["nvml",] == 1.0
    assert samples("forgediag_poll_errors", given) == {("forge:forge", "timeout"): 1}
    assert samples("forgediag_snapshot_timestamp_seconds", given) == {(): 1003.0}
    assert samples("process_resident_memory_bytes", given) == {(): 34 * MB}


def test_a_source_that_never_worked_has_no_last_success(samples: Samples) -> None:
    given = report()
    never = replace(given.snapshot.sources[0], success=False, last_success=None)
    broken = replace(given, snapshot=replace(given.snapshot, sources=(never,)))
    assert samples("forgediag_poll_success", broken) == {("nvml",): 0.0}
    assert not samples("forgediag_poll_last_success_timestamp_seconds", broken)
