"""Every line of 44 situations played through Forge's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Picture, Request, Settings
from forgediag.testing.headers import header

GOLDEN = Path(__file__).parents[1] / "golden" / "scenarios.json"
DATA: dict[str, Any] = json.loads(GOLDEN.read_text())
SCENARIOS: list[dict[str, Any]] = [DATA["defaults"] | scenario for scenario in DATA["scenarios"]]
STATES = {"LOW": "always_low_vram", "NO": "always_no_vram"}


def request_of(scenario: dict[str, Any]) -> Request:
    """The request that loads in the order the scenarios were played in.

    They encode two prompts before hires fix (a real Forge does so at CFG 1; it encodes hires fix's own as well), and a
    picture after the prompts (a real Forge does so for an extension; img2img encodes before them).
    """
    flags = set(scenario["flags"]) | {STATES[state] for state in [scenario["vram_state"]] if state in STATES}
    return Request(
        checkpoint=header(scenario["checkpoint"]),
        modules=tuple(map(header, scenario["modules"])),
        card=Card(scenario["free_mb"], name=scenario["gpu"], capability=tuple(scenario["compute_capability"])),
        settings=Settings(scenario["forge_inference_memory"], location=scenario["location"]),
        picture=Picture(
            width=scenario["width"],
            height=scenario["height"],
            batch=scenario["batch"],
            cfg=1 if scenario["cfg_1"] or scenario["passes"] == 2 else 7,
            images=scenario["images"],
            new_prompt=scenario["new_prompt_each_image"],
            late_encode=scenario["img2img"],
            hires=1 if scenario["passes"] == 2 else None,
            cloned_unet=scenario["cloned_unet"],
            hard_mb=scenario["hard_mb"],
        ),
        storage=scenario["storage"],
        flags=frozenset(flags),
        ram_mb=scenario["free_ram_mb"],
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["name"]))
def test_every_line_is_forges_own(scenario: dict[str, Any]) -> None:
    made = plan(request_of(scenario))
    assert [line for step in made.steps for line in step.log] == scenario["lines"]


@pytest.mark.parametrize("scenario", SCENARIOS[::4], ids=lambda scenario: str(scenario["name"]))
def test_the_order_of_the_modules_changes_nothing(scenario: dict[str, Any]) -> None:
    request = request_of(scenario | {"modules": scenario["modules"][::-1]})
    assert [line for step in plan(request).steps for line in step.log] == scenario["lines"]
