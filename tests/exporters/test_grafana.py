"""The dashboard by the rules of Grafana's dashboard-linter, and against itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from forgediag_exporters.grafana import dashboard, files
from forgediag_exporters.metrics import METRICS

DASHBOARD = dashboard()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
BY_TITLE = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
SERIES = {
    metric.name + ending: metric
    for metric in METRICS
    for ending in {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(metric.kind, ("",))
}
SELECTOR = re.compile(r"\b((?:forge|forgediag|process)_[a-z_]+)\b(\{[^}]*\})?")
UNITS = {"none", "short", "bytes", "percentunit", "s", "celsius", "watt", "cps"}


def selectors(expr: str) -> Iterator[tuple[str, str]]:
    """Metric and matchers of each selector of an expression."""
    yield from SELECTOR.findall(expr)


def exprs(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_the_dashboard_has_its_uid_and_cannot_be_edited_by_accident() -> None:
    assert (DASHBOARD["uid"], DASHBOARD["editable"]) == ("forgediag", False)
    assert DASHBOARD["title"]
    assert DASHBOARD["refresh"]


def test_variables_choose_the_datasource_the_job_the_machine_the_forge_and_the_card() -> None:
    assert list(VARIABLES) == ["datasource", "job", "instance", "target", "gpu"]
    assert VARIABLES["datasource"]["type"] == "datasource"
    for name in ("job", "instance", "target", "gpu"):
        variable = VARIABLES[name]
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["refresh"] == 2, "read anew when the time range changes"
        assert variable["label"]
    assert VARIABLES["target"]["multi"]
    assert not VARIABLES["instance"]["multi"], "two machines both have a GPU 0"


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


@BY_TITLE
def test_a_panel_has_a_title_a_description_a_unit_and_the_chosen_datasource(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@BY_TITLE
def test_every_selector_names_a_metric_that_is_exported_and_labels_that_it_has(panel: dict[str, Any]) -> None:
    for expr in exprs(panel):
        found = list(selectors(expr))
        assert found, expr
        for name, matchers in found:
            assert name in SERIES, name
            used = set(re.findall(r'(\w+)=~?"', matchers)) - {"job", "instance"}
            assert used <= set(SERIES[name].labels), f"{name} has no {used}"


@BY_TITLE
def test_every_selector_is_restricted_to_the_job_the_machine_and_what_is_chosen(panel: dict[str, Any]) -> None:
    for expr in exprs(panel):
        for name, matchers in selectors(expr):
            assert 'job=~"$job"' in matchers, name
            assert 'instance=~"$instance"' in matchers, name
            assert ('target=~"$target"' in matchers) == ("target" in SERIES[name].labels), name


@BY_TITLE
def test_counters_are_only_shown_as_rates_over_the_interval_grafana_chooses(panel: dict[str, Any]) -> None:
    for expr in exprs(panel):
        for name, _ in selectors(expr):
            rated = re.search(rf"(rate|increase)\({name}\{{[^}}]*\}}\[(\$__\w+)\]\)", expr)
            assert bool(rated) == (SERIES[name].kind != "gauge"), expr
            if rated:
                assert rated[2] in {"$__rate_interval", "$__range"}


@BY_TITLE
def test_a_panel_shows_its_unit_the_metric_is_in(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    endings = {"bytes": "_bytes", "celsius": "_celsius", "watt": "_watts", "s": "_seconds"}
    if unit in endings:
        for expr in exprs(panel):
            assert any(SERIES[name].name.endswith(endings[unit]) for name, _ in selectors(expr)), expr


def test_what_must_be_seen_is_shown() -> None:
    shown = {name for panel in PANELS for expr in exprs(panel) for name, _ in selectors(expr)}
    assert shown >= {
        "forge_up",
        "forge_check_status",
        "forge_gpu_memory_bytes",
        "forge_gpu_process_memory_bytes",
        "forge_gpu_memory_used_max_bytes",
        "forge_inference_memory_bytes",
        "forge_inference_memory_recommended_bytes",
        "forge_gpu_weights_bytes",
        "forge_job_progress_ratio",
        "forge_job_duration_seconds_bucket",
        "forge_jobs_total",
        "forge_cuda_memory_bytes",
        "forge_cuda_memory_peak_bytes",
        "forge_host_memory_bytes",
        "forge_gpu_utilization_ratio",
        "forge_gpu_temperature_celsius",
        "forge_gpu_power_watts",
        "forge_api_request_duration_seconds_bucket",
        "forgediag_poll_success",
    }


def test_the_memory_of_each_card_is_stacked_and_its_peaks_are_lines_over_it() -> None:
    panel = next(panel for panel in PANELS if panel.get("repeat") == "gpu")
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    (override,) = panel["fieldConfig"]["overrides"]
    assert {"id": "custom.stacking", "value": {"mode": "none"}} in override["properties"]
    pattern = re.compile(override["matcher"]["options"].strip("/"))
    assert [bool(pattern.search(name)) for name in ("forge", "other", "free", "peak 60s", "total")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_the_files_are_the_dashboard_and_what_provisions_it() -> None:
    written = files()
    assert set(written) == {
        "dashboards/forgediag.json",
        "provisioning/dashboards/forgediag.yml",
        "provisioning/datasources/forgediag.yml",
    }
    assert json.loads(written["dashboards/forgediag.json"]) == DASHBOARD
    for name in ("dashboards", "datasources"):
        assert "apiVersion: 1" in written[f"provisioning/{name}/forgediag.yml"]
