"""Faults of the simulated Forge: what a client sees of each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import SimulatedForge

Play = Callable[..., SimulatedForge]


def broken(play: Play, kind: Any, path: str = "memory", **how: Any) -> httpx.Response:
    answers: list[httpx.Response] = []

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault(kind, **how)
        answers.append(await client.get(path))

    play(scene)
    return answers[0]


def raised(play: Play, kind: Any, error: type[Exception], **how: Any) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault(kind, **how)
        with pytest.raises(error):
            await client.get("memory", timeout=0.3)

    play(scene)


@pytest.mark.parametrize(("kind", "status"), [("unauthorized", 401), ("error", 500), ("not_found", 404)])
def test_a_status_instead_of_the_answer(play: Play, kind: str, status: int) -> None:
    answer = broken(play, kind)
    assert answer.status_code == status
    assert answer.json()


def test_a_web_page_instead_of_json(play: Play) -> None:
    answer = broken(play, "html")
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<!DOCTYPE html>")


def test_half_a_json_arrives_as_a_whole_answer(play: Play) -> None:
    answer = broken(play, "half_json", "progress")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_half_of_a_compressed_answer_does_not_decompress(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault("half_json")
        answer = await client.get("options", headers={"accept-encoding": "identity"})
        with pytest.raises(json.JSONDecodeError):
            answer.json()

    play(scene)


def test_values_of_wrong_types(play: Play) -> None:
    body = broken(play, "wrong_types").json()
    assert body["ram"]["used"] == "seven"
    assert broken(play, "wrong_types", "sd-models").json()[0]["title"] == 7


def test_a_list_in_place_of_an_object_and_the_other_way_round(play: Play) -> None:
    assert isinstance(broken(play, "wrong_shape").json(), list)
    assert isinstance(broken(play, "wrong_shape", "sd-models").json(), dict)


def test_a_redirect_to_itself_or_elsewhere(play: Play) -> None:
    assert broken(play, "redirect").headers["location"] == "/sdapi/v1/memory"
    assert broken(play, "redirect", to="http://localhost:1/login").headers["location"] == "http://localhost:1/login"


def test_a_late_answer_is_a_good_one(play: Play) -> None:
    started = time.monotonic()
    assert broken(play, "latency", seconds=0.2).json()["ram"]
    assert time.monotonic() - started >= 0.2


def test_a_hang_is_accepted_and_never_answered(play: Play) -> None:
    raised(play, "hang", httpx.ReadTimeout)


def test_a_client_is_hung_up_on(play: Play) -> None:
    raised(play, "refuse", httpx.RequestError)


def test_an_answer_breaks_off_in_its_middle(play: Play) -> None:
    raised(play, "reset", httpx.RemoteProtocolError)


def within(scene: Callable[[SimulatedForge, httpx.AsyncClient], Awaitable[int]], play: Play) -> int:
    sizes: list[int] = []

    async def act(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        sizes.append(await scene(forge, client))

    play(act)
    return sizes[0]


def test_an_answer_of_200_megabytes(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> int:
        forge.fault("huge")
        size = 0
        async with client.stream("GET", "options") as answer:
            async for part in answer.aiter_raw():
                size += len(part)
                if size > 20_000_000:
                    break
        return size

    assert within(scene, play) > 20_000_000


def test_an_answer_of_a_byte_now_and_then(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> int:
        forge.fault("drip", seconds=0.1)
        size = 0
        started = time.monotonic()
        async with client.stream("GET", "memory") as answer:
            async for part in answer.aiter_raw():
                size += len(part)
                if time.monotonic() - started > 0.35:
                    break
        return size

    assert 2 <= within(scene, play) <= 5


def test_a_fault_of_one_path_leaves_the_others(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault("error", "/sdapi/v1/options")
        assert (await client.get("options")).status_code == 500
        assert (await client.get("memory")).status_code == 200

    play(scene)


def test_a_fault_lasts_as_often_as_said(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault("error", times=2)
        assert [(await client.get("memory")).status_code for _ in range(3)] == [500, 500, 200]

    play(scene)


def test_one_fault_or_all_are_healed(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        first = forge.fault("unauthorized")
        forge.fault("error")
        forge.heal(first)
        assert (await client.get("memory")).status_code == 500
        forge.heal()
        assert (await client.get("memory")).status_code == 200

    play(scene)


def test_a_late_answer_may_be_a_refused_one(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        forge.fault("latency", seconds=0.01)
        assert (await client.post("options", json={"nonsense": 1})).status_code == 500
        answer = await asyncio.gather(client.post("txt2img", json={"steps": 1, "width": 64, "height": 64}))
        assert answer[0].status_code == 200

    play(scene)
