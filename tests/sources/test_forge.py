"""Reading a Forge: every answer a real one or something else gave, and the gap it becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from forgediag.model import CudaMemory, Flags, Forge, Gap, Known, Listing, Options, Progress, TorchMemory
from forgediag.sources.forge import ENDPOINTS, ForgeClient, assemble

URL = "http://127.0.0.1:7861"
IDLE = {
    "progress": 0.0,
    "eta_relative": 0.0,
    "state": {
        "skipped": False,
        "interrupted": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "20261122145638",
        "job_no": 1,
        "sampling_step": 0,
        "sampling_steps": 4,
    },
    "current_image": None,
}
CUDA = {
    "system": {"free": 5e9, "used": 7e9, "total": 12e9},
    "active": {"current": 3, "peak": 4},
    "allocated": {"current": 1, "peak": 2},
    "reserved": {"current": 5, "peak": 6},
    "inactive": {"current": 7, "peak": 8},
    "events": {"retries": 1, "oom": 2},
}

Handler = Callable[[httpx.Request], httpx.Response]


def read(endpoint: str, handler: Handler, **options: Any) -> Known[Any]:
    async def act() -> Known[Any]:
        client = ForgeClient(URL, transport=httpx.MockTransport(handler), **options)
        try:
            return await client.read(ENDPOINTS[endpoint])
        finally:
            await client.close()

    return asyncio.run(act())


def answered(endpoint: str, body: Any, status: int = 200) -> Known[Any]:
    return read(endpoint, lambda _: httpx.Response(status, json=body))


def gap(fact: Known[Any]) -> Gap:
    assert isinstance(fact, Gap)
    assert "\n" not in fact.reason
    return fact


def test_progress_while_idle() -> None:
    progress = answered("progress", IDLE)
    assert isinstance(progress, Progress)
    assert not progress.running
    assert progress.job_no == 1


def test_progress_while_a_model_loads() -> None:
    state = {**IDLE["state"], "job": "scripts_txt2img", "job_count": -1}  # type: ignore[dict-item] # a JSON literal
    progress = answered("progress", {**IDLE, "progress": 0.01, "state": state})
    assert isinstance(progress, Progress)
    assert (progress.running, progress.loading) == (True, True)


def test_the_current_image_is_not_asked_for() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=IDLE)

    read("progress", handler)
    assert asked[0].url.params["skip_current_image"] == "true"


def test_numbers_that_come_as_floats_are_bytes() -> None:
    memory = answered("memory", {"ram": {"free": 1.5, "used": 6864986112, "total": 25276510208.0}, "cuda": CUDA})
    assert isinstance(memory, TorchMemory)
    assert memory.resident == 6864986112
    assert memory.cuda == CudaMemory(12 * 10**9, 5 * 10**9, 1, 2, 5, 6, 3, 4, 7, 8, 1, 2)


def test_a_forge_on_the_cpu_has_no_cuda_memory_and_that_is_expected() -> None:
    memory = answered("memory", {"ram": {"used": 1}, "cuda": {"error": "unavailable"}})
    assert isinstance(memory, TorchMemory)
    assert gap(memory.cuda).expected


def test_a_broken_cuda_is_no_expected_gap() -> None:
    memory = answered("memory", {"ram": {"used": 1}, "cuda": {"error": "CUDA error: device lost"}})
    assert "device lost" in gap(memory.cuda).reason if isinstance(memory, TorchMemory) else False
    assert not gap(memory.cuda).expected if isinstance(memory, TorchMemory) else False


def test_memory_that_psutil_refused_forge_is_a_gap() -> None:
    assert "no 'used': denied" in gap(answered("memory", {"ram": {"error": "denied"}, "cuda": {}})).reason


def test_options_broken_by_a_wrong_type_are_read_from_inside_the_500() -> None:
    message = (
        "1 validation errors:\n  {'type': 'float_type', 'loc': ('response', 'CLIP_stop_at_last_layers'), 'msg': 'x'}\n"
    )
    error = {
        "error": "ResponseValidationError",
        "detail": "",
        "body": {"CLIP_stop_at_last_layers": "two"},
        "message": message,
    }
    options = answered("options", error, 500)
    assert options == Options({"CLIP_stop_at_last_layers": "two"}, ("CLIP_stop_at_last_layers",))


def test_flags_are_read_from_inside_the_500_and_a_password_is_not() -> None:
    body = {
        "port": 17860,
        "api_auth": "me:hunter2",
        "gradio_auth": None,
        "ngrok": "tok",
        "tls_keyfile": "k",
        "nowebui": True,
    }
    error = {
        "error": "ResponseValidationError",
        "body": body,
        "message": "{'loc': ('response', 'port'), 'input': 17860}",
    }
    flags = answered("cmd-flags", error, 500)
    assert isinstance(flags, Flags)
    assert flags.values["port"] == 17860
    assert (flags.on("api_auth"), flags.on("gradio_auth"), flags.on("nowebui")) == (True, False, True)
    assert "hunter2" not in repr(flags)
    assert "tok" not in repr(flags.values["ngrok"])


def test_another_500_is_a_gap_with_its_class_and_without_its_message() -> None:
    fact = gap(answered("options", {"error": "KeyError", "body": "", "message": "secret"}, 500))
    assert "500 KeyError" in fact.reason
    assert "secret" not in fact.reason


def test_models_modules_and_samplers() -> None:
    model = {
        "title": "a.safetensors",
        "model_name": "a",
        "hash": None,
        "sha256": None,
        "filename": "/m/a.safetensors",
        "config": None,
    }
    checkpoints = answered("sd-models", [model])
    modules = answered("sd-modules", [{"model_name": "ae.safetensors", "filename": "/m/ae.safetensors"}])
    assert checkpoints[0].sha256 is None
    assert modules[0].path == "/m/ae.safetensors"
    assert answered("samplers", [{"name": "Euler", "aliases": []}]) == ("Euler",)


@pytest.mark.parametrize(
    ("endpoint", "body", "told"),
    [
        ("options", [], "options is not a JSON object"),
        ("sd-models", {}, "sd-models is not a JSON list"),
        ("sd-models", [1], "a row of sd-models is not a JSON object"),
        ("sd-models", [{"title": 1}], "'title' is not a string"),
        ("progress", {"progress": 0}, "progress.state is not a JSON object"),
        ("progress", {**IDLE, "progress": "half"}, "'progress' is not a number"),
        ("memory", {"ram": {"used": True}, "cuda": {}}, "'used' is not a number"),
    ],
)
def test_an_answer_of_another_shape_is_a_gap_that_names_the_key(endpoint: str, body: Any, told: str) -> None:
    fact = gap(answered(endpoint, body))
    assert fact.kind == "invalid"
    assert told in fact.reason


def test_a_wanted_password_and_a_wrong_one_are_told_apart() -> None:
    missing = gap(answered("options", {"detail": "Not authenticated"}, 401))
    wrong = gap(answered("options", {"detail": "Incorrect username or password"}, 401))
    assert (missing.kind, wrong.kind) == ("unauthorized", "unauthorized")
    assert "Incorrect" in wrong.reason
    assert "Incorrect" not in missing.reason


def test_a_401_without_json_is_still_a_wanted_password() -> None:
    assert gap(read("options", lambda _: httpx.Response(401, text="no"))).kind == "unauthorized"


def test_no_api_is_told_as_no_api() -> None:
    assert "without --api" in gap(answered("options", {"detail": "Not Found"}, 404)).reason


def test_a_fork_without_modules_is_no_failure() -> None:
    fact = gap(answered("sd-modules", {"detail": "Not Found"}, 404))
    assert fact.expected


def test_a_web_page_is_not_forge() -> None:
    fact = gap(read("options", lambda _: httpx.Response(200, html="<html>hi</html>")))
    assert fact.kind == "not_forge"
    bare = gap(read("options", lambda _: httpx.Response(200, content=b"<!doctype html>")))
    assert bare.kind == "not_forge"


def test_a_redirect_is_not_followed() -> None:
    fact = gap(read("options", lambda _: httpx.Response(302, headers={"location": "http://elsewhere/"})))
    assert fact.kind == "not_forge"
    assert "http://elsewhere/" in fact.reason


def test_half_a_json_is_invalid() -> None:
    fact = gap(read("options", lambda _: httpx.Response(200, content=b'{"a": ')))
    assert fact.kind == "invalid"
    assert "6 bytes that are not whole JSON" in fact.reason


def test_json_nested_too_deep_is_invalid() -> None:
    assert gap(read("options", lambda _: httpx.Response(200, content=b"[" * 100_000))).kind == "invalid"


def test_an_endless_answer_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    fact = gap(read("options", lambda _: httpx.Response(200, content=endless())))
    assert fact.kind == "not_forge"
    assert "more than 16 MB" in fact.reason


def test_a_dripping_answer_is_a_timeout_of_the_whole() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    fact = gap(read("options", lambda _: httpx.Response(200, content=drip()), timeout=0.1))
    assert fact.kind == "timeout"
    assert "0.1 s" in fact.reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "refused"),
        (httpx.ReadError(""), "refused"),
        (httpx.RemoteProtocolError("Server disconnected"), "refused"),
        (httpx.ReadTimeout("x"), "timeout"),
        (httpx.ConnectTimeout("x"), "timeout"),
    ],
)
def test_a_transport_error_is_a_gap(error: Exception, kind: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    assert gap(read("options", handler)).kind == kind


def test_a_password_is_sent_but_never_shown() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401, json={"detail": "Incorrect username or password"})

    fact = gap(read("options", handler, auth=("me", "hunter2")))
    assert seen[0].startswith("Basic ")
    assert "hunter2" not in fact.reason


def facts(**changes: Any) -> dict[str, Known[Any]]:
    got: dict[str, Known[Any]] = {"progress": answered("progress", IDLE)}
    return got | {name.replace("_", "-"): fact for name, fact in changes.items()}


def test_a_forge_not_asked_yet_is_starting() -> None:
    assert gap(assemble(URL, {})).kind == "starting"


def test_progress_decides_whether_there_is_a_forge() -> None:
    assert assemble(URL, {"progress": Gap("down", "refused")}) == Gap("down", "refused")
    assert isinstance(assemble(URL, facts(options=Gap("slow", "timeout"))), Forge)


def test_a_part_not_read_yet_is_a_gap_of_its_own() -> None:
    forge = assemble(URL, facts(options=Options({"forge_inference_memory": 1024.0, "forge_async_loading": "Queue"})))
    assert isinstance(forge, Forge)
    assert forge.fork == "forge"
    assert gap(forge.memory).kind == "starting"
    assert gap(forge.listing).kind == "starting"


def test_a_listing_without_modules_where_the_fork_has_none() -> None:
    forge = assemble(URL, facts(sd_models=(), sd_modules=Gap("none", "unsupported", expected=True)))
    assert isinstance(forge, Forge)
    assert forge.listing == Listing((), ())


def test_a_listing_needs_its_modules_where_the_fork_has_them() -> None:
    forge = assemble(URL, facts(sd_models=(), sd_modules=Gap("broken", "invalid")))
    assert isinstance(forge, Forge)
    assert gap(forge.listing).reason == "broken"


def test_a_whole_listing() -> None:
    forge = assemble(URL, json.loads("{}") | facts(sd_models=(), sd_modules=()))
    assert isinstance(forge, Forge)
    assert forge.listing == Listing((), ())


def test_a_broken_answer_that_lacks_forges_options_tells_no_fork() -> None:
    forge = assemble(URL, facts(options=Options({"CLIP_stop_at_last_layers": "two"}, ("CLIP_stop_at_last_layers",))))
    assert isinstance(forge, Forge)
    assert gap(forge.fork).expected
