"""Generations of the simulated Forge: the life of a job, its memory, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import (
    ForgeError,
    PhaseChange,
    Setup,
    SimulatedForge,
    VirtualClock,
)

Play = Callable[..., SimulatedForge]
SMALL = {"steps": 2, "width": 64, "height": 64}


def frozen(scene: Callable[[SimulatedForge, VirtualClock], Awaitable[None]], setup: Setup | None = None) -> None:
    """Run a scene in virtual time."""

    async def act() -> None:
        clock = VirtualClock()
        async with SimulatedForge(setup, clock=clock) as forge:
            await scene(forge, clock)

    asyncio.run(act())


async def txt2img(client: httpx.AsyncClient, **fields: Any) -> tuple[int, Any]:
    answer = await client.post("txt2img", json={**SMALL, **fields})
    return answer.status_code, answer.json()


def failed(answer: tuple[int, Any]) -> tuple[str, str]:
    assert answer[0] == 500
    return answer[1]["error"], answer[1]["message"]


def test_progress_goes_from_idle_through_the_load_and_the_steps_to_idle() -> None:
    seen: list[tuple[str, int, int, int, float]] = []

    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        task = forge.start_job(steps=4, width=1024, height=1024)
        for _ in range(40):
            answer: Any = forge.engine.progress()
            state = answer["state"]
            shown = (state["job"], state["job_count"], state["sampling_step"], state["sampling_steps"])
            seen.append((*shown, round(answer["progress"], 2)))
            await clock.advance(0.1)
        await task

    frozen(scene)
    assert list(dict.fromkeys(seen)) == [
        ("", 0, 0, 0, 0.0),
        ("scripts_txt2img", -1, 0, 0, 0.01),
        ("scripts_txt2img", 1, 0, 0, 0.01),
        ("scripts_txt2img", 1, 0, 4, 0.01),
        ("scripts_txt2img", 1, 1, 4, 0.26),
        ("scripts_txt2img", 1, 2, 4, 0.51),
        ("scripts_txt2img", 1, 3, 4, 0.76),
        ("scripts_txt2img", 1, 4, 4, 1.0),
        ("", 0, 0, 4, 0.0),
    ]


def test_the_eta_while_loading_is_99_times_what_has_passed() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        forge.start_job()
        await clock.advance(0.505)
        assert forge.engine.progress()["eta_relative"] == pytest.approx(99 * 0.5)

    frozen(scene)


def test_a_second_request_waits_and_progress_shows_the_running_one() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        first, second = forge.start_job(steps=7), forge.start_job(steps=9)
        ended: list[str] = []
        first.add_done_callback(lambda _: ended.append("first"))
        second.add_done_callback(lambda _: ended.append("second"))
        for _ in range(30):
            if not first.done():
                assert forge.engine.state.sampling_steps in {0, 7}
            await clock.advance(0.2)
        assert ended == ["first", "second"]

    frozen(scene)


def test_phases_are_told_with_the_memory_of_each() -> None:
    changes: list[PhaseChange] = []
    told: list[PhaseChange] = []

    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        forge.on_phase(changes.append)
        task = forge.start_job(width=1024, height=1024)
        await clock.advance(60)
        await task
        told.extend(changes)

    frozen(scene)
    assert changes[-1] == PhaseChange("idle", changes[-1].at, used=0, allocated=0)  # Forge has died
    assert [change.phase for change in told] == [
        "unload",
        "text_encode",
        "unet_load",
        "sampling",
        "vae_decode",
        "idle",
    ]
    allocated = {change.phase: change.allocated / 2**20 for change in told}
    assert allocated["unload"] == 0
    assert allocated["text_encode"] < allocated["unet_load"] < allocated["sampling"] < allocated["vae_decode"]
    assert all(change.used > change.allocated for change in told)
    assert [change.at for change in changes] == sorted(change.at for change in changes)


def test_a_good_answer_has_a_picture_the_parameters_and_info_as_text(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        status, body = await txt2img(client, prompt="a cat", n_iter=2)
        assert status == 200
        assert len(body["images"]) == 2
        assert base64.b64decode(body["images"][0]).startswith(b"\x89PNG")
        assert body["parameters"]["prompt"] == "a cat"
        assert json.loads(body["info"])["sd_model_name"] == "meadow-sd15"

    play(scene)


def test_the_first_good_load_makes_the_hash_known(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        rows = {row["model_name"]: row for row in (await client.get("sd-models")).json()}
        assert rows["meadow-sd15"]["sha256"] is None
        await txt2img(client)
        rows = {row["model_name"]: row for row in (await client.get("sd-models")).json()}
        row = rows["meadow-sd15"]
        assert row["title"] == f"meadow-sd15.safetensors [{row['sha256'][:10]}]"
        assert (await client.get("options")).json()["sd_checkpoint_hash"] == row["sha256"]

    play(scene)


def test_an_interruption_ends_the_job_well_and_early() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        task = forge.start_job(steps=100, n_iter=3, width=1024, height=1024)
        await clock.advance(5)
        forge.engine.interrupt()
        await clock.advance(2)
        done = await task
        assert done.interrupted
        assert done.images == 1
        assert forge.engine.state.job == ""

    frozen(scene)


def test_interrupt_is_answered_with_an_empty_object(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        assert (await client.post("interrupt")).json() == {}
        assert (await client.get("progress")).json()["state"]["interrupted"] is True

    play(scene)


def test_too_large_a_batch_is_out_of_memory_and_counted(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        kind, text = failed(await txt2img(client, width=2048, height=2048, batch_size=8))
        assert kind == "OutOfMemoryError"
        assert text.startswith(
            "CUDA out of memory. Tried to allocate 12.50 GiB. GPU 0 has a total capacity of 12.00 GiB"
        )
        events = (await client.get("memory")).json()["cuda"]["events"]
        assert events == {"retries": 1, "oom": 1}
        assert (await txt2img(client))[0] == 200

    play(scene)


def test_a_decode_that_does_not_fit_is_tiled(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        done = await forge.run_job(width=2048, height=2048, batch_size=2, steps=1)
        assert done.images == 2
        assert forge.torch.ooms == 1
        assert any("retrying with tiled VAE decoding" in line for line in forge.console)

    play(scene)


def test_a_unet_larger_than_the_card_is_swapped_by_forges_arithmetic(play: Play) -> None:
    modules = ["ae.safetensors", "clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"]

    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        select = {"sd_model_checkpoint": "harbour-flux-fp8.safetensors", "forge_additional_modules": modules}
        await client.post("options", json=select)
        assert (await txt2img(client))[0] == 200

    console = "\n".join(play(scene).console)
    assert "Target: KModel, Free GPU: 11668.00 MB, Model Require: 11350.07 MB" in console
    assert "Remaining: -706.07 MB, CPU Swap Loaded (blocked method): 1986.07 MB, GPU Loaded: 9364.00 MB" in console


def test_a_failure_asked_for_is_answered_with_its_name(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        with pytest.raises(ForgeError, match="illegal memory access"):
            await forge.run_job(
                fails=ForgeError("RuntimeError", "CUDA error: an illegal memory access was encountered")
            )
        assert forge.engine.state.job_count == 0
        assert forge.errors == ["CUDA error: an illegal memory access was encountered"]

    play(scene)


def test_a_changed_memory_setting_unloads_before_the_next_generation(play: Play) -> None:
    phases: list[str] = []

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await txt2img(client)
        forge.on_phase(lambda change: phases.append(change.phase))
        await txt2img(client)
        await client.post("options", json={"forge_inference_memory": 2048})
        await txt2img(client)

    play(scene)
    again = ["text_encode", "sampling", "vae_decode", "idle"]
    assert phases == [*again, "unload", "text_encode", "unet_load", *again[1:], "idle"]  # the last: Forge's end


def test_a_selection_changed_during_a_batch_is_loaded_for_its_next_image() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        task = forge.start_job(n_iter=2, width=1024, height=1024)
        await clock.advance(3)
        forge.options.post({"forge_additional_modules": ["ae.safetensors"]})
        await clock.advance(30)
        with pytest.raises(ForgeError, match="size mismatch"):
            await task

    frozen(scene)


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"steps": "many"}', b'{"steps": [1]}'])
def test_a_payload_that_is_none_is_a_422(play: Play, content: bytes) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        assert (await client.post("txt2img", content=content)).status_code == 422

    play(scene)


def test_a_job_ends_though_its_client_has_gone() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            asking = asyncio.ensure_future(client.post(f"{forge.url}/sdapi/v1/txt2img", json=SMALL))
            while not forge.requests:
                await asyncio.sleep(0.001)
            await clock.advance(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert forge.engine.state.job_count == -1
        await clock.advance(30)
        assert forge.engine.state.job_no == 1

    frozen(scene)


def test_dying_ends_the_running_job() -> None:
    async def scene(forge: SimulatedForge, clock: VirtualClock) -> None:
        task = forge.start_job(width=1024, height=1024)
        await clock.advance(3)
        assert forge.torch.allocated > 0
        await forge.go_down()
        assert task.cancelled()
        assert forge.torch.allocated == 0

    frozen(scene)
