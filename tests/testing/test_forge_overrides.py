"""override_settings of the simulated Forge: for one request, or for longer than that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import (
    CHECKPOINTS,
    Setup,
    SimulatedForge,
)

Play = Callable[..., SimulatedForge]
BROKEN = "'NoneType' object has no attribute 'sd_checkpoint_info'"
SMALL = {"steps": 2, "width": 64, "height": 64}


async def txt2img(client: httpx.AsyncClient, **fields: Any) -> tuple[int, Any]:
    answer = await client.post("txt2img", json={**SMALL, **fields})
    return answer.status_code, answer.json()


def failed(answer: tuple[int, Any]) -> tuple[str, str]:
    assert answer[0] == 500
    return answer[1]["error"], answer[1]["message"]


@pytest.mark.parametrize(
    ("override", "status", "error"),
    [
        ({"sd_model_checkpoint": "no-such.safetensors"}, 200, None),
        ({"sd_checkpoint_model": "x"}, 500, "KeyError"),
        ({"forge_inference_memory": "3000"}, 500, "TypeError"),
        ({"forge_inference_memory": 3000}, 200, None),
        ({"forge_additional_modules": ["nope.safetensors"]}, 200, None),
    ],
)
def test_override_settings_last_for_one_request(play: Play, override: Any, status: int, error: str | None) -> None:
    config = {"forge_inference_memory": 1024, "forge_additional_modules": []}

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        before = (await client.get("options")).json()
        answer = await txt2img(client, override_settings=override)
        assert answer[0] == status
        assert answer[1].get("error") == error
        after = (await client.get("options")).json()
        assert {**after, "sd_checkpoint_hash": ""} == before
        assert forge.options.effective_mb == 1024.0

    play(scene, Setup(config=config))


def test_an_override_that_is_not_restored_stays_but_is_not_written(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        override = {"forge_inference_memory": 1234}
        await txt2img(client, override_settings=override, override_settings_restore_afterwards=False)
        assert (await client.get("options")).json()["forge_inference_memory"] == 1234.0
        assert forge.options.disk["forge_inference_memory"] == 1024

    play(scene, Setup(config={"forge_inference_memory": 1024}))


def test_an_override_of_a_key_that_config_json_lacks_sticks(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await txt2img(client, override_settings={"forge_inference_memory": 3000})
        assert forge.options.effective_mb == 3000.0

    play(scene)


def test_a_model_by_override_is_loaded_for_one_request(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        _, body = await txt2img(client, override_settings={"sd_model_checkpoint": "sunrise-sdxl"})
        assert json.loads(body["info"])["sd_model_name"] == "sunrise-sdxl"
        _, body = await txt2img(client)
        assert json.loads(body["info"])["sd_model_name"] == "meadow-sd15"

    play(scene)


def test_one_broken_override_breaks_everybodys_next_request(play: Play) -> None:
    bad = replace(CHECKPOINTS[1], name="bad.safetensors", state="lora")

    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        await txt2img(client)
        await txt2img(client, override_settings={"sd_model_checkpoint": "bad.safetensors"})
        assert failed(await txt2img(client)) == ("AttributeError", BROKEN)

    play(scene, Setup(checkpoints=(*CHECKPOINTS, bad)))
