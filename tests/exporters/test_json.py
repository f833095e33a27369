"""The JSON documents: their shapes are promised to scripts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from forgediag.model import Finding, Gap, OptionChange, Report, Severity, Snapshot
from forgediag.testing.facts import FORGE, GIB, options
from forgediag.testing.reports import report, with_target
from forgediag_exporters.json import DOCUMENTS, plain

RENDER = {item.name: item.render for item in DOCUMENTS}
NOTHING = Report(Snapshot(7.0, (), Gap("no NVML", "missing", expected=True), Gap("not yet", "starting")), (), (), {})


def document(name: str, given: Report) -> Any:
    return json.loads(RENDER[name](given), parse_constant=pytest.fail)


def test_each_document_has_its_path_and_schema() -> None:
    assert {item.name: (item.path, document(item.name, NOTHING)["schema"]) for item in DOCUMENTS} == {
        "snapshot": ("/api/v1/snapshot", "forgediag.snapshot/1"),
        "findings": ("/api/v1/findings", "forgediag.doctor/1"),
        "history": ("/api/v1/history", "forgediag.history/1"),
        "options": ("/api/v1/options", "forgediag.options/1"),
        "jobs": ("/api/v1/jobs", "forgediag.jobs/1"),
        "recommendation": ("/api/v1/recommendation", "forgediag.recommend/1"),
    }
    assert {item.media_type for item in DOCUMENTS} == {"application/json"}


def test_findings_carry_everything_a_reader_needs() -> None:
    assert document("findings", report()) == {
        "schema": "forgediag.doctor/1",
        "verdict": "warning",
        "findings": [
            {
                "check": "gpu-other-processes",
                "severity": "warning",
                "target": "forge",
                "subject": "GPU 0",
                "message": "Other programs hold 300 MB of Forge's card.",
                "evidence": {"processes": [{"pid": 200, "used_mb": 300}]},
                "fix": ["Close what is not needed.", "Let the desktop run on another card."],
            }
        ],
    }


def test_no_findings_are_the_verdict_ok() -> None:
    assert document("findings", NOTHING) == {"schema": "forgediag.doctor/1", "verdict": "ok", "findings": []}


def test_a_snapshot_has_every_fact_under_its_own_name() -> None:
    told = document("snapshot", report(2, seconds=5, start=100.0))
    assert told["at"] == 105.0
    assert told["targets"][0]["name"] == "forge"
    assert told["targets"][0]["forge"]["options"]["values"]["forge_inference_memory"] == 1024.0
    assert told["nvml"]["gpus"][1]["memory"]["total"] == 24 * GIB
    assert told["nvml"]["gpus"][0]["info"]["compute_capability"] == [8, 9]
    assert told["tallies"]["forge"]["requests"]["progress"]["count"] == 11


def test_a_gap_says_its_kind_and_reason() -> None:
    told = document("snapshot", NOTHING)
    assert told["nvml"] == {"gap": "missing", "reason": "no NVML", "expected": True}
    assert told["host"] == {"gap": "starting", "reason": "not yet", "expected": False}


def test_a_recommendation_is_on_top_and_by_target() -> None:
    told = document("recommendation", report())
    assert told["recommended"] == {
        "forge_inference_memory": 3072,
        "gpu_weights_mb": 21504,
        "forge_async_loading": "Queue",
        "forge_pin_shared_memory": "CPU",
    }
    assert told["also_set"] == {"xl_GPU_MB": 21504}
    assert told["curve"][0]["fits"] is False
    assert told["confidence"] == "estimated"
    assert told["targets"]["forge"]["recommended"] == told["recommended"]


def test_a_recommendation_that_cannot_be_made_says_why() -> None:
    told = document("recommendation", replace(report(), advice={"forge": Gap("no model is selected", "missing")}))
    assert (told["gap"], told["reason"]) == ("missing", "no model is selected")
    assert told["targets"]["forge"]["gap"] == "missing"


@pytest.mark.parametrize("key", ["civitai_api_key", "ngrok_AuthToken", "hf_token", "Password", "client_secret"])
def test_an_option_that_may_hold_a_credential_is_not_told(key: str) -> None:
    given = with_target(report(), forge=replace(FORGE, options=options(**{key: "hunter2"})))
    raw = RENDER["snapshot"](given)
    assert b"hunter2" not in raw
    assert json.loads(raw)["targets"][0]["forge"]["options"]["values"][key] is True


def test_an_option_that_only_sounds_like_a_credential_is_told() -> None:
    given = with_target(report(), forge=replace(FORGE, options=options(token_merging_ratio=0.5, api_key="")))
    values = document("snapshot", given)["targets"][0]["forge"]["options"]["values"]
    assert (values["token_merging_ratio"], values["api_key"]) == (0.5, "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, None),
        (math.inf, None),
        (Severity.FAILURE, "failure"),
        ({1: (2, [3])}, {"1": [2, [3]]}),
        (GIB, GIB),
    ],
)
def test_every_value_becomes_json(value: object, shown: object) -> None:
    assert plain(value) == shown


def test_evidence_of_any_type_is_told_in_words() -> None:
    odd = Finding("x", Severity.WARNING, "forge", "s", "m", {"path": PurePosixPath("/a")})
    told = document("findings", replace(NOTHING, findings=(odd,)))
    assert told["findings"][0]["evidence"] == {"path": "/a"}


def test_changed_options_are_told_without_what_may_be_secret() -> None:
    changes = (
        OptionChange(1.0, "forge", "forge_inference_memory", 1024.0, 2048.0, "page"),
        OptionChange(2.0, "forge", "civitai_api_key", "", "hunter2", "other"),
    )
    found = document("history", with_target(report(), changes=changes))["targets"]["forge"]

    assert [(item["key"], item["new"], item["cause"]) for item in found] == [
        ("civitai_api_key", True, "other"),
        ("forge_inference_memory", 2048.0, "page"),
    ]


def test_options_are_those_of_each_target() -> None:
    assert "forge_inference_memory" in document("options", report())["targets"]["forge"]["values"]
    assert (
        document("options", with_target(report(), forge=Gap("it is down", "refused")))["targets"]["forge"]["gap"]
        == "refused"
    )
