"""Models that the simulated Forge will not load, and the state that leaves."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import (
    CHECKPOINTS,
    MODULES,
    Checkpoint,
    Module,
    Setup,
    SimulatedForge,
)

Play = Callable[..., SimulatedForge]
BROKEN = "'NoneType' object has no attribute 'sd_checkpoint_info'"
MISMATCH = (
    "Error(s) in loading state_dict for IntegratedAutoencoderKL:\n\tsize mismatch for "
    "encoder.conv_out.weight: copying a param with shape torch.Size([32, 512, 3, 3]) from checkpoint, the "
    "shape in current model is torch.Size([8, 512, 3, 3]).\n\tsize mismatch for encoder.conv_out.bias: "
    "copying a param with shape torch.Size([32]) from checkpoint, the shape in current model is "
    "torch.Size([8]).\n\tsize mismatch for decoder.conv_in.weight: copying a param with shape "
    "torch.Size([512, 16, 3, 3]) from checkpoint, the shape in current model is "
    "torch.Size([512, 4, 3, 3])."
)
SMALL = {"steps": 2, "width": 64, "height": 64}


async def txt2img(client: httpx.AsyncClient, **fields: Any) -> tuple[int, Any]:
    answer = await client.post("txt2img", json={**SMALL, **fields})
    return answer.status_code, answer.json()


def failed(answer: tuple[int, Any]) -> tuple[str, str]:
    assert answer[0] == 500
    return answer[1]["error"], answer[1]["message"]


@pytest.mark.parametrize("part", ["checkpoint", "vae"])
def test_nan_weights_give_a_black_picture_and_no_error(play: Play, part: str) -> None:
    checkpoint = Checkpoint("a.safetensors", state="nan" if part == "checkpoint" else "good")
    modules = (Module("v.safetensors", state="nan" if part == "vae" else "good"),)
    config = {"forge_additional_modules": ["/opt/forge/models/VAE/v.safetensors"]}
    setup = Setup(checkpoints=(checkpoint,), modules=modules, selected="a.safetensors", config=config)

    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        status, body = await txt2img(client)
        assert status == 200
        png = base64.b64decode(body["images"][0])
        assert not any(zlib.decompress(png[png.index(b"IDAT") + 4 : -16]))

    play(scene, setup)


@pytest.mark.parametrize(
    ("checkpoint", "modules", "error"),
    [
        (Checkpoint("x.safetensors", state="truncated"), [], ("ValueError", "Failed to recognize model type!")),
        (Checkpoint("x.safetensors", state="lora"), [], ("ValueError", "Failed to recognize model type!")),
        (CHECKPOINTS[2], [], ("AssertionError", "You do not have VAE state dict!")),
        (CHECKPOINTS[0], [], ("AssertionError", "You do not have CLIP state dict!")),
        (CHECKPOINTS[0], ["ae.safetensors"], ("AssertionError", "You do not have CLIP state dict!")),
        (
            CHECKPOINTS[0],
            ["ae.safetensors", "clip_l.safetensors"],
            ("AssertionError", "You do not have T5 state dict!"),
        ),
        (
            CHECKPOINTS[1],
            ["ae.safetensors"],
            (
                "RuntimeError",
                MISMATCH,
            ),
        ),
    ],
)
def test_what_will_not_load_fails_at_the_next_generation(
    play: Play, checkpoint: Checkpoint, modules: list[str], error: tuple[str, str]
) -> None:
    setup = Setup(checkpoints=(*CHECKPOINTS, Checkpoint("x.safetensors")), selected="sunrise-sdxl.safetensors")

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.files.add(checkpoint)
        forge.files.refresh()
        select = {"sd_model_checkpoint": checkpoint.name, "forge_additional_modules": modules}
        assert (await client.post("options", json=select)).status_code == 200
        assert failed(await txt2img(client)) == error
        assert (await client.get("progress")).json()["state"]["job"] == ""

    play(scene, setup)


def test_missing_parts_may_come_from_modules(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        select = {"sd_model_checkpoint": "no-vae-sd15", "forge_additional_modules": ["vae-4ch.safetensors"]}
        await client.post("options", json=select)
        assert (await txt2img(client))[0] == 200

    play(scene)


def test_an_unreadable_file_is_renamed_and_stays_listed_until_a_refresh(play: Play) -> None:
    bad = Module("bad-vae.safetensors", state="truncated")

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await client.post("options", json={"forge_additional_modules": [bad.name]})
        assert failed(await txt2img(client))[1] == "Failed to recognize model type!"
        assert "File corrupted: /opt/forge/models/VAE/bad-vae.safetensors " in forge.console
        assert bad.name not in forge.files.disk
        assert failed(await txt2img(client))[1] == "Failed to recognize model type!"

    play(scene, Setup(modules=(*MODULES, bad)))


def test_after_a_failed_load_the_old_selection_stays_broken_until_another_one_works(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        assert (await txt2img(client))[0] == 200
        await client.post("options", json={"forge_additional_modules": ["ae.safetensors"]})
        assert failed(await txt2img(client))[0] == "RuntimeError"
        await client.post("options", json={"forge_additional_modules": []})
        assert failed(await txt2img(client)) == ("AttributeError", BROKEN)
        for nothing in ("unload-checkpoint", "reload-checkpoint", "refresh-checkpoints"):
            await client.post(nothing)
        await client.post("options", json={"forge_inference_memory": 1023})
        assert failed(await txt2img(client)) == ("AttributeError", BROKEN)
        await client.post("options", json={"forge_additional_modules": ["vae-4ch.safetensors"]})
        assert (await txt2img(client))[0] == 200
        await client.post("options", json={"forge_additional_modules": []})
        assert (await txt2img(client))[0] == 200

    play(scene)


def test_a_restart_cures_the_broken_state(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await txt2img(client)
        await client.post("options", json={"forge_additional_modules": ["ae.safetensors"]})
        await txt2img(client)
        await client.post("options", json={"forge_additional_modules": []})
        await forge.restart()
        assert (await txt2img(client))[0] == 200

    play(scene)


def test_a_deleted_file_serves_on_from_memory_until_it_must_be_read(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await txt2img(client)
        del forge.files.disk["meadow-sd15.safetensors"]
        assert (await txt2img(client))[0] == 200
        await client.post("options", json={"forge_additional_modules": ["vae-4ch.safetensors"]})
        assert failed(await txt2img(client))[1] == "Failed to recognize model type!"

    play(scene)


def test_without_any_model_a_generation_says_so(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        kind, text = failed(await txt2img(client))
        assert (kind, text.split("!")[0]) == ("ValueError", "You do not have any model")

    play(scene, Setup(checkpoints=(), selected=None))
