"""More situations played through Forge's own code: inpaint checkpoints, hires fix, refiner, LoRAs, ControlNets.

Order of the loads as traced in requests to a real Forge dfdcbab, lines as its memory manager printed them on a
scripted card.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forgediag.model import Header
from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Picture, Request, Second, Settings
from forgediag.testing.adapters import control_lora, controlnet, lora
from forgediag.testing.headers import header

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "played.json").read_text())
SCENARIOS: list[dict[str, Any]] = [DATA["defaults"] | scenario for scenario in DATA["scenarios"]]


def net_of(net: list[str]) -> Header:
    return control_lora(net[1]) if net[0] == "lora" else controlnet(*net)


def second_of(scenario: dict[str, Any]) -> Second | None:
    if scenario["refiner"]:
        return Second("refiner", header(scenario["refiner"]))
    return Second("hires", header(scenario["hires_checkpoint"])) if scenario["hires_checkpoint"] else None


def request_of(scenario: dict[str, Any]) -> Request:
    return Request(
        checkpoint=header(scenario["checkpoint"]),
        modules=tuple(map(header, scenario["modules"])),
        card=Card(scenario["free_mb"]),
        settings=Settings(scenario["forge_inference_memory"]),
        picture=Picture(
            width=scenario["width"],
            height=scenario["height"],
            batch=scenario["batch"],
            cfg=1 if scenario["cfg_1"] else 7,
            images=scenario["images"],
            new_prompt=scenario["new_prompt_each_image"],
            img2img=scenario["img2img"],
            late_encode=scenario["late_encode"],
            hires=scenario["hires"],
            pixel_hires=scenario["pixel_hires"],
            cloned_unet=scenario["cloned_unet"],
            new_lora=scenario["new_lora"],
        ),
        storage=scenario["storage"],
        flags=frozenset(
            () if scenario["vram_state"] == "NORMAL" else {f"always_{scenario['vram_state'].lower()}_vram"}
        ),
        ram_mb=scenario["free_ram_mb"],
        controlnets=tuple(map(net_of, scenario["controlnets"])),
        online_loras=tuple(lora(*net) for net in scenario["loras"]) if scenario["online_lora"] else (),
        second=second_of(scenario),
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["name"]))
def test_every_line_is_forges_own(scenario: dict[str, Any]) -> None:
    made = plan(request_of(scenario))
    assert [line for step in made.steps for line in step.log] == scenario["lines"]
