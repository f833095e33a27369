"""The dashboards by the rules of Grafana's dashboard-linter, and against the metrics.

The linter's rules, by name, are the tests called `test_lint_…`: template-datasource, template-job, template-instance,
template-label-promql (with a real Prometheus: tests/e2e), template-on-time-change-reload, panel-datasource,
panel-title-description, panel-units, panel-no-targets, target-promql (with a real Prometheus), target-rate-interval,
target-job, target-instance, target-counter-agg, uneditable-dashboard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from forgediag_exporters.grafana import DASHBOARDS, LINT, dashboard, files
from forgediag_exporters.metrics import METRICS

Json = dict[str, Any]

BOARDS: dict[str, Json] = {shown.title: dashboard(shown) for shown in DASHBOARDS}
PANELS = [(title, panel) for title, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
BY_BOARD = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
BY_TITLE = pytest.mark.parametrize(
    "panel", [panel for _, panel in PANELS], ids=[f"{t}: {p['title']}" for t, p in PANELS]
)
SERIES = {
    metric.name + ending: metric
    for metric in METRICS
    for ending in {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(metric.kind, ("",))
}
SELECTOR = re.compile(r"\b((?:forge|forgediag|process)_[a-z_]+)\b(\{[^}]*\})?")
UNITS = {"none", "short", "bytes", "percentunit", "s", "celsius", "watt", "cps", "ops"}


def selectors(expr: str) -> Iterator[tuple[str, str]]:
    """Metric and matchers of each selector of an expression."""
    yield from SELECTOR.findall(expr)


def exprs(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def variables(board: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


@BY_BOARD
def test_lint_uneditable_dashboard_rule(board: Json) -> None:
    assert board["editable"] is False


@BY_BOARD
def test_lint_template_datasource_rule(board: Json) -> None:
    found = [variable for variable in variables(board).values() if variable["type"] == "datasource"]
    assert [(each["name"], each["label"], each["query"]) for each in found] == [
        ("datasource", "Data source", "prometheus")
    ]


@pytest.mark.parametrize(
    ("title", "name"), [("Forges", "job"), ("Forges", "instance"), ("Forge", "job"), ("Forge", "instance")]
)
def test_lint_template_job_and_instance_rules(title: str, name: str) -> None:
    variable = variables(BOARDS[title])[name]
    assert variable["datasource"]["uid"] == "${datasource}"
    assert (variable["type"], variable["label"]) == ("query", name.title())
    if (title, name) == ("Forge", "instance"):
        assert "template-instance-rule" in LINT, "one machine at a time: two of them both have a GPU 0"
        assert not variable["multi"]
    else:
        assert (variable["multi"], variable["allValue"]) == (True, ".+")


@BY_BOARD
def test_lint_template_on_time_change_reload_rule(board: Json) -> None:
    assert {variable["refresh"] for variable in variables(board).values() if variable["type"] == "query"} == {2}


def test_every_exclusion_of_the_linter_has_its_reason() -> None:
    rules = re.findall(r"^  ([a-z-]+):$", LINT, re.MULTILINE)
    assert rules == ["template-instance-rule"]
    assert len(re.findall(r"^    reason: \S", LINT, re.MULTILINE)) == len(rules)


def test_each_dashboard_has_an_address_of_its_own_and_leads_to_the_other() -> None:
    assert [board["uid"] for board in BOARDS.values()] == ["forgediag-fleet", "forgediag"]
    for board in BOARDS.values():
        (link,) = board["links"]
        assert set(link["tags"]) <= set(board["tags"])
        assert link["keepTime"]
        assert board["refresh"]
        assert board["description"].endswith((".", "?"))


def test_a_click_on_a_forge_of_the_fleet_leads_to_its_details() -> None:
    links = [
        link
        for title, panel in PANELS
        if title == "Forges"
        for link in panel["fieldConfig"]["defaults"].get("links", ())
    ]
    assert len(links) >= 5
    for link in links:
        assert link["url"].startswith(f"/d/{BOARDS['Forge']['uid']}?")
        given = set(re.findall(r"var-(\w+)=", link["url"]))
        assert given <= set(variables(BOARDS["Forge"]))
        assert given == {"datasource", "job", "instance", "target"}
        assert "${__url_time_range}" in link["url"]


@BY_BOARD
def test_panels_have_ids_of_their_own_and_do_not_overlap(board: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    titles = [panel["title"] for panel in board["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


@BY_TITLE
def test_lint_panel_datasource_title_description_units_and_no_targets_rules(panel: Json) -> None:
    assert panel["title"]
    assert "?" in panel["description"], "it is the question that the panel answers"
    assert panel["description"].endswith((".", "?"))
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_each_column_of_a_table_has_its_name_and_its_unit() -> None:
    (table,) = (panel for _, panel in PANELS if panel["type"] == "table")
    columns = {
        override["matcher"]["options"]: {item["id"]: item["value"] for item in override["properties"]}
        for override in table["fieldConfig"]["overrides"]
    }
    assert set(columns) == {f"Value #{target['refId']}" for target in table["targets"]}
    assert len({column["displayName"] for column in columns.values()}) == len(columns)
    assert {column["unit"] for column in columns.values()} <= UNITS
    assert {target["format"] for target in table["targets"]} == {"table"}
    assert {target["instant"] for target in table["targets"]} == {True}
    for target in table["targets"]:
        assert "by (job, instance, target)" in target["expr"] or "by (le, job, instance, target)" in target["expr"]


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
def test_lint_target_job_and_instance_rules_and_what_is_chosen(panel: dict[str, Any]) -> None:
    for expr in exprs(panel):
        for name, matchers in selectors(expr):
            assert 'job=~"$job"' in matchers, name
            assert 'instance=~"$instance"' in matchers, name
            assert ('target=~"$target"' in matchers) == ("target" in SERIES[name].labels), name


@BY_TITLE
def test_lint_target_counter_agg_and_rate_interval_rules(panel: dict[str, Any]) -> None:
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
    shown = {name for _, panel in PANELS for expr in exprs(panel) for name, _ in selectors(expr)}
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
        "forge_memory_ledger_bytes",
        "forge_phase_duration_seconds_sum",
        "forge_phase_memory_peak_bytes_bucket",
        "forge_job_swapped_bytes",
        "forge_inference_memory_effective_bytes",
        "forge_model_files",
        "forgediag_model_verify_files",
        "forgediag_poll_success",
    }


@pytest.mark.parametrize("variable", ["gpu", "target"])
def test_the_memory_of_each_card_is_stacked_and_its_peaks_are_lines_over_it(variable: str) -> None:
    panel = next(panel for _, panel in PANELS if panel.get("repeat") == variable)
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    (override,) = panel["fieldConfig"]["overrides"]
    assert {"id": "custom.stacking", "value": {"mode": "none"}} in override["properties"]
    pattern = re.compile(override["matcher"]["options"].strip("/"))
    assert [bool(pattern.search(name)) for name in ("forge", "other", "free", "peak 60s", "total")] == [
        False,
        False,
        False,
        variable == "gpu",
        True,
    ]


def test_the_files_are_the_dashboards_and_what_provisions_them() -> None:
    written = files()
    assert set(written) == {
        "dashboards/forgediag-fleet.json",
        "dashboards/forgediag.json",
        "dashboards/.lint",
        "provisioning/dashboards/forgediag.yml",
        "provisioning/datasources/forgediag.yml",
    }
    for board in BOARDS.values():
        assert json.loads(written[f"dashboards/{board['uid']}.json"]) == board
    for name in ("dashboards", "datasources"):
        assert "apiVersion: 1" in written[f"provisioning/{name}/forgediag.yml"]
