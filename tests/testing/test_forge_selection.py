"""Selecting checkpoints and modules on the simulated Forge: names it knows, drops, and falls back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import Checkpoint, Module, Setup, SimulatedForge

Play = Callable[..., SimulatedForge]
VAE = "/opt/forge/models/VAE"


def posted(play: Play, *payloads: Any, setup: Setup | None = None) -> tuple[SimulatedForge, list[httpx.Response]]:
    """The answers to the payloads, and last the answer of GET options."""
    answers: list[httpx.Response] = []

    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        for payload in payloads:
            answers.append(await client.post("options", json=payload))
        answers.append(await client.get("options"))

    return play(scene, setup), answers


def error(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 500
    body = answer.json()
    assert body["detail"] == body["body"] == ""
    return body["error"], body["message"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (["ae.safetensors"], [f"{VAE}/ae.safetensors"]),
        ([f"{VAE}/ae.safetensors"], [f"{VAE}/ae.safetensors"]),
        (["/any/where/ae.safetensors"], [f"{VAE}/ae.safetensors"]),
        (["vae-4ch.safetensors", "missing"], [f"{VAE}/vae-4ch.safetensors"]),
        (["missing.safetensors"], []),
        (["ae"], []),
        ("ae.safetensors", []),
        (["C:\\forge\\models\\VAE\\ae.safetensors"], []),
    ],
)
def test_modules_go_by_base_name_and_unknown_ones_are_dropped_silently(
    play: Play, value: Any, stored: list[str]
) -> None:
    before = {"forge_additional_modules": ["clip_l.safetensors"]}
    _, (_, post, get) = posted(play, before, {"forge_additional_modules": value})
    assert (post.status_code, post.json()) == (200, None)
    assert get.json()["forge_additional_modules"] == stored


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "'NoneType' object is not iterable"),
        ([None], "expected str, bytes or os.PathLike object, not NoneType"),
    ],
)
def test_modules_that_are_null_are_a_type_error(play: Play, value: Any, text: str) -> None:
    _, (post, get) = posted(play, {"forge_additional_modules": value})
    assert error(post) == ("TypeError", text)
    assert get.json()["forge_additional_modules"] == []


@pytest.mark.parametrize(
    "name",
    [
        "no-such-model.safetensors",
        "/opt/forge/models/Stable-diffusion/meadow-sd15.safetensors",
        "MEADOW-SD15.safetensors",
        "meadow-sd15.safetensors [0000000000]",
        "",
    ],
)
def test_an_unknown_checkpoint_is_a_runtime_error(play: Play, name: str) -> None:
    _, (post, get) = posted(play, {"sd_model_checkpoint": name})
    assert error(post) == ("RuntimeError", f"model '{name}' not found")
    assert get.json()["sd_model_checkpoint"] == "meadow-sd15.safetensors"


def test_another_checkpoint_is_stored_as_it_was_written(play: Play) -> None:
    forge, (_, get) = posted(play, {"sd_model_checkpoint": "no-vae-sd15"})
    assert get.json()["sd_model_checkpoint"] == "no-vae-sd15"
    assert any("no-vae-sd15.safetensors" in line for line in forge.console)


def test_the_same_checkpoint_by_another_name_is_not_stored(play: Play) -> None:
    get = posted(play, {"sd_model_checkpoint": "meadow-sd15"})[1][-1]
    assert get.json()["sd_model_checkpoint"] == "meadow-sd15.safetensors"


def test_no_checkpoint_means_the_first_in_the_list(play: Play) -> None:
    forge, (post, get) = posted(play, {"sd_model_checkpoint": None})
    assert post.status_code == 200
    assert get.json()["sd_model_checkpoint"] is None
    assert forge.options.selection.checkpoint is not None
    assert forge.options.selection.checkpoint.name == "harbour-flux-fp8.safetensors"


def test_a_selected_file_that_is_gone_falls_back_to_the_first_and_get_keeps_the_name(play: Play) -> None:
    forge, (get,) = posted(play, setup=Setup(selected="gone.safetensors"))
    assert get.json()["sd_model_checkpoint"] == "gone.safetensors"
    assert "Checkpoint gone.safetensors not found; loading fallback harbour-flux-fp8.safetensors" in forge.console


def test_a_new_checkpoint_is_known_after_a_refresh_only(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.files.add(replace(forge.files.checkpoints["meadow-sd15.safetensors"], name="new.safetensors"))
        select = {"sd_model_checkpoint": "new.safetensors"}
        assert (await client.post("options", json=select)).status_code == 500
        assert (await client.post("refresh-checkpoints")).json() is None
        assert (await client.post("options", json=select)).status_code == 200

    play(scene)


def test_a_new_module_is_known_after_a_restart_only(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.files.add(Module("new-vae.safetensors"))
        select = {"forge_additional_modules": ["new-vae.safetensors"]}
        await client.post("refresh-checkpoints")
        await client.post("refresh-vae")
        await client.post("options", json=select)
        assert (await client.get("options")).json()["forge_additional_modules"] == []
        await forge.restart()
        await client.post("options", json=select)
        assert (await client.get("options")).json()["forge_additional_modules"] == [f"{VAE}/new-vae.safetensors"]

    play(scene)


def test_a_forge_without_a_model_has_none_selected(play: Play) -> None:
    forge, (post, _) = posted(play, {"forge_inference_memory": 2048}, setup=Setup(checkpoints=(), selected=None))
    assert post.status_code == 200
    assert forge.options.selection.checkpoint is None


def test_a_checkpoint_is_found_by_its_hash_once_it_was_loaded(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        sha256 = Checkpoint("meadow-sd15.safetensors").sha256
        assert (await client.post("options", json={"sd_model_checkpoint": sha256[:10]})).status_code == 500
        await forge.run_job(steps=1)
        assert (await client.post("options", json={"sd_model_checkpoint": sha256[:10]})).status_code == 200

    play(scene)
