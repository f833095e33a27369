"""GET and POST options of the simulated Forge: every case one that a real Forge was seen to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import Setup, SimulatedForge

Play = Callable[..., SimulatedForge]


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


def test_whole_numbers_are_answered_as_floats_unless_their_default_is_nothing(play: Play) -> None:
    body = posted(play)[1][-1].json()
    assert repr(body["forge_inference_memory"]) == "1024.0"
    assert repr(body["sd_checkpoint_cache"]) == "0"
    assert body["samples_save"] is True
    assert body["sd_model_checkpoint"] == "meadow-sd15.safetensors"


@pytest.mark.parametrize(
    ("value", "answered", "effective"),
    [
        (2048, 2048.0, 2048.0),
        (2048.5, 2048.5, 2048.5),
        (0, 0.0, 0.0),
        (-1000, -1000.0, -1000.0),
        (99999, 99999.0, 99999.0),
    ],
)
def test_any_number_is_taken_as_inference_memory(play: Play, value: float, answered: float, effective: float) -> None:
    forge, (post, get) = posted(play, {"forge_inference_memory": value})
    assert (post.status_code, post.json()) == (200, None)
    assert get.json()["forge_inference_memory"] == answered
    assert forge.options.effective_mb == effective
    assert forge.options.disk["forge_inference_memory"] == value


def test_true_as_inference_memory_is_one_megabyte_and_stored_as_true(play: Play) -> None:
    forge, (_, get) = posted(play, {"forge_inference_memory": True})
    assert repr(get.json()["forge_inference_memory"]) == "1.0"
    assert forge.options.disk["forge_inference_memory"] is True


@pytest.mark.parametrize("value", ["2048", "lots"])
def test_a_text_as_inference_memory_is_a_type_error_and_changes_nothing(play: Play, value: str) -> None:
    forge, (post, get) = posted(play, {"forge_inference_memory": value})
    assert error(post) == ("TypeError", "unsupported operand type(s) for -: 'int' and 'str'")
    assert get.json()["forge_inference_memory"] == 1024.0
    assert forge.options.effective_mb == 1024.0


def test_null_as_inference_memory_applies_the_present_value_again(play: Play) -> None:
    forge, (post, get) = posted(
        play, {"forge_inference_memory": None}, setup=Setup(config={"forge_inference_memory": 4096})
    )
    assert post.status_code == 200
    assert get.json()["forge_inference_memory"] == 4096.0
    assert forge.options.effective_mb == 4096.0


def test_an_unchanged_value_is_ignored(play: Play) -> None:
    setup = Setup(config={"forge_inference_memory": 4096})
    forge, (post, _) = posted(play, {"forge_inference_memory": 4096}, setup=setup)
    assert post.status_code == 200
    assert forge.options.effective_mb == 1024.0
    assert not forge.console


def test_a_restart_answers_the_stored_value_but_works_with_1024(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await client.post("options", json={"forge_inference_memory": 4096})
        await forge.restart()
        assert (await client.get("options")).json()["forge_inference_memory"] == 4096.0
        assert forge.options.effective_mb == 1024.0
        await client.post("options", json={"forge_inference_memory": 4097})
        assert forge.options.effective_mb == 4097.0

    play(scene)


def test_opening_the_page_puts_the_stored_value_into_effect(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.open_page()
        assert forge.options.effective_mb == 4096.0

    play(scene, Setup(ui=True, config={"forge_inference_memory": 4096}))


def test_setting_the_memory_says_what_it_means_on_the_console(play: Play) -> None:
    forge, _ = posted(play, {"forge_inference_memory": 2048}, {"forge_inference_memory": 300})
    text = "\n".join(forge.console)
    assert "Environment vars changed: {'stream': False, 'inference_memory': 2048.0, 'pin_shared_memory': False}" in text
    assert "use 83.33% GPU memory (10240.00 MB) to load weights, and use 16.67% GPU memory (2048.00 MB)" in text
    assert "[Low VRAM Warning] You just set Forge to use 100% GPU memory (11988.00 MB)" in text


def test_an_unknown_key_is_a_key_error(play: Play) -> None:
    post = posted(play, {"sd_checkpoint_model": "x"})[1][0]
    assert error(post) == ("KeyError", "'sd_checkpoint_model'")


def test_keys_before_an_unknown_one_are_set_in_memory_but_not_on_the_disk(play: Play) -> None:
    payload = {"CLIP_stop_at_last_layers": 2, "forge_inference_memory": 1500, "sd_checkpoint_model": "x"}
    forge, (_, get) = posted(play, payload)
    assert get.json()["CLIP_stop_at_last_layers"] == 2.0
    assert "CLIP_stop_at_last_layers" not in forge.options.disk
    assert get.json()["forge_inference_memory"] == 1024.0


def test_an_option_of_a_wrong_type_is_taken_and_breaks_every_get(play: Play) -> None:
    forge, (post, get) = posted(play, {"CLIP_stop_at_last_layers": "two"})
    assert (post.status_code, get.status_code) == (200, 500)
    body = get.json()
    assert body["error"] == "ResponseValidationError"
    assert body["body"]["CLIP_stop_at_last_layers"] == "two"
    assert body["message"] == (
        "1 validation errors:\n  {'type': 'float_parsing', 'loc': ('response', 'CLIP_stop_at_last_layers'), "
        "'msg': 'Input should be a valid number, unable to parse string as a number', 'input': 'two', "
        "'url': 'https://errors.pydantic.dev/2.8/v/float_parsing'}\n"
    )
    assert forge.options.disk["CLIP_stop_at_last_layers"] == "two"


def test_the_broken_answer_holds_only_values_that_were_ever_set(play: Play) -> None:
    get = posted(play, {"CLIP_stop_at_last_layers": "two"})[1][-1]
    assert set(get.json()["body"]) == {"sd_model_checkpoint", "CLIP_stop_at_last_layers"}


def test_a_right_value_cures_the_get(play: Play) -> None:
    get = posted(play, {"CLIP_stop_at_last_layers": "two"}, {"CLIP_stop_at_last_layers": 1})[1][-1]
    assert get.status_code == 200


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("samples_save", "perhaps", "bool_parsing"),
        ("samples_format", 5, "string_type"),
        ("realesrgan_enabled_models", "x", "list_type"),
        ("jpeg_quality", [1], "float_type"),
    ],
)
def test_each_type_has_its_own_error(play: Play, key: str, value: Any, kind: str) -> None:
    get = posted(play, {key: value})[1][-1]
    assert f"'type': '{kind}', 'loc': ('response', '{key}')" in get.json()["message"]


@pytest.mark.parametrize(
    ("key", "value", "answered"),
    [
        ("jpeg_quality", "90", 90.0),
        ("samples_save", "off", False),
        ("show_warnings", "x", "x"),
        ("emphasis", None, None),
    ],
)
def test_what_pydantic_understands_is_answered(play: Play, key: str, value: Any, answered: Any) -> None:
    assert posted(play, {key: value})[1][-1].json()[key] == answered


def test_what_is_no_object_is_a_422(play: Play) -> None:
    post = posted(play, [1, 2])[1][0]
    assert post.status_code == 422
    assert post.json()["detail"][0]["type"] == "dict_type"
    assert post.json()["detail"][0]["msg"] == "Input should be a valid dictionary"


def test_what_is_no_json_is_a_422(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        assert (await client.post("options", content=b"{")).status_code == 422

    play(scene)


def test_an_unknown_storage_dtype_and_swap_method_are_taken(play: Play) -> None:
    payload = {"forge_unet_storage_dtype": "int3", "forge_async_loading": "Turbo"}
    body = posted(play, payload)[1][-1].json()
    assert {key: body[key] for key in payload} == payload


@pytest.mark.parametrize(
    ("fork", "has", "lacks"),
    [
        ("forge", {"forge_inference_memory", "forge_async_loading"}, {"forge_swap"}),
        ("ersatzforge", {"forge_inference_memory", "forge_swap"}, {"forge_async_loading"}),
        ("neo", {"forge_additional_modules"}, {"forge_inference_memory"}),
        ("other", {"sd_vae"}, {"forge_additional_modules", "forge_inference_memory"}),
    ],
)
def test_a_fork_shows_in_its_options(play: Play, fork: Any, has: set[str], lacks: set[str]) -> None:
    keys = set(posted(play, setup=Setup(fork=fork))[1][-1].json())
    assert has <= keys
    assert not lacks & keys


def test_inference_memory_is_an_unknown_key_on_neo(play: Play) -> None:
    post = posted(play, {"forge_inference_memory": 2048}, setup=Setup(fork="neo"))[1][0]
    assert error(post) == ("KeyError", "'forge_inference_memory'")
