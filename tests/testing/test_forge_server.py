"""The simulated Forge's endpoints: shapes, modes, password, compression, and what it is when down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from forgediag.testing.forge import ForgeThread, Setup, SimulatedForge, SystemClock

Play = Callable[..., SimulatedForge]


def asked(play: Play, path: str, setup: Setup | None = None, method: str = "GET", **request: Any) -> httpx.Response:
    answers: list[httpx.Response] = []

    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        url = forge.url + path if path.startswith("/") else path
        answers.append(await client.request(method, url, **request))

    play(scene, setup)
    return answers[0]


def test_memory_tells_torchs_pools_and_forges_rss(play: Play) -> None:
    body = asked(play, "memory").json()
    assert body["ram"]["free"] + body["ram"]["used"] == body["ram"]["total"] == 32768 * 2**20
    assert set(body["cuda"]) == {"system", "active", "allocated", "reserved", "inactive", "events"}
    assert set(body["cuda"]["reserved"]) == {"current", "peak"}
    assert body["cuda"]["events"] == {"retries": 0, "oom": 0}
    assert body["cuda"]["system"]["total"] == 12288 * 2**20


def test_memory_without_cuda_says_unavailable(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await forge.run_job(steps=1)
        assert (await client.get("memory")).json()["cuda"] == {"error": "unavailable"}
        assert "All loaded to GPU." in forge.console

    play(scene, Setup(cuda=False))


def test_another_process_leaves_less_memory(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        before = (await client.get("memory")).json()["cuda"]["system"]["free"]
        forge.torch.outside = 2**30
        assert (await client.get("memory")).json()["cuda"]["system"]["free"] == before - 2**30

    play(scene)


def test_rss_grows_with_the_model(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        before = (await client.get("memory")).json()["ram"]["used"]
        await forge.run_job(steps=1)
        assert (await client.get("memory")).json()["ram"]["used"] > before + 2**30

    play(scene)


def test_idle_progress_has_a_real_ones_keys(play: Play) -> None:
    body = asked(play, "progress?skip_current_image=true").json()
    assert list(body) == ["progress", "eta_relative", "state", "current_image", "textinfo"]
    assert body["state"] == {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }


def test_cmd_flags_without_a_port_are_answered(play: Play) -> None:
    answer = asked(play, "cmd-flags")
    assert answer.status_code == 200
    assert answer.json()["port"] is None


def test_cmd_flags_with_a_port_are_a_500_with_the_flags_and_the_password_inside(play: Play) -> None:
    answer = asked(
        play, "cmd-flags", Setup(port=17860, auth="user:pass", flags={"gpu_device_id": 1}), auth=("user", "pass")
    )
    assert answer.status_code == 500
    body = answer.json()
    assert body["body"]["api_auth"] == "user:pass"
    assert body["body"]["port"] == 17860
    assert body["message"].startswith(
        "2 validation errors:\n  {'type': 'string_type', 'loc': ('response', 'gpu_device_id')"
    )


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sd-models", {"title", "model_name", "hash", "sha256", "filename", "config"}),
        ("sd-modules", {"model_name", "filename"}),
        ("samplers", {"name", "aliases", "options"}),
        ("schedulers", {"name", "label", "aliases", "default_rho", "need_inner_model"}),
        ("upscalers", {"name", "model_name", "model_path", "scale"}),
    ],
)
def test_lists_have_a_real_ones_keys(play: Play, name: str, keys: set[str]) -> None:
    rows = asked(play, name).json()
    assert rows
    assert all(set(row) == keys for row in rows)


@pytest.mark.parametrize(
    "path", ["/metrics", "/health", "/internal/ping", "/internal/sysinfo", "/", "sd-vae", "server-kill"]
)
def test_what_does_not_exist_is_forges_404(play: Play, path: str) -> None:
    answer = asked(play, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_a_wrong_method_is_forges_405(play: Play) -> None:
    answer = asked(play, "memory", method="POST")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "GET"


def test_a_head_is_answered_like_a_get(play: Play) -> None:
    assert asked(play, "memory", method="HEAD").status_code == 200


def test_a_fork_without_modules_has_vaes_instead(play: Play) -> None:
    assert asked(play, "sd-modules", Setup(fork="other")).status_code == 404
    assert asked(play, "sd-vae", Setup(fork="other")).status_code == 200
    assert asked(play, "reload-checkpoint", Setup(fork="neo"), method="POST").status_code == 404


def test_openapi_lists_what_there_is(play: Play) -> None:
    body = asked(play, "/openapi.json").json()
    assert body["info"] == {"title": "FastAPI", "version": "0.1.0"}
    assert set(body["paths"]["/sdapi/v1/options"]) == {"get", "post"}


def test_the_web_ui_has_its_own_paths(play: Play) -> None:
    setup = Setup(ui=True)
    assert asked(play, "/internal/ping", setup).json() == {}
    assert asked(play, "/internal/pending-tasks", setup).json() == {"size": 0, "tasks": []}
    page = asked(play, "/", setup, headers={"accept-encoding": "identity"})
    assert len(page.content) == 6_300_000


def test_sysinfo_takes_two_seconds_and_hides_the_password() -> None:
    async def act() -> tuple[float, Any]:
        setup = Setup(ui=True, auth="user:pass", config={"forge_inference_memory": 4096})
        async with SimulatedForge(setup, clock=SystemClock(20)) as forge, httpx.AsyncClient(trust_env=False) as client:
            started = time.monotonic()
            body = (await client.get(f"{forge.url}/internal/sysinfo")).json()
            return time.monotonic() - started, body

    seconds, body = asyncio.run(act())
    assert seconds >= 0.1
    assert body["Commandline"][-1] == "<hidden>"
    assert "user:pass" not in str(body)
    assert body["Config"]["forge_inference_memory"] == 4096


@pytest.mark.parametrize("path", ["options", "memory", "progress", "cmd-flags", "sd-models"])
def test_a_password_protects_the_api(play: Play, path: str) -> None:
    setup = Setup(auth="user:pass")
    nobody = asked(play, path, setup)
    assert (nobody.status_code, nobody.json()) == (401, {"detail": "Not authenticated"})
    assert nobody.headers["www-authenticate"] == "Basic"
    other = asked(play, path, setup, headers={"authorization": "Bearer x"})
    assert other.json() == {"detail": "Not authenticated"}
    wrong = asked(play, path, setup, auth=("user", "guess"))
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Incorrect username or password"})
    assert asked(play, path, setup, auth=("user", "pass")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "loras"),
        ("POST", "refresh-loras"),
        ("GET", "/openapi.json"),
        ("GET", "/internal/ping"),
        ("GET", "/internal/sysinfo"),
        ("GET", "/"),
    ],
)
def test_some_paths_are_never_protected(play: Play, method: str, path: str) -> None:
    assert asked(play, path, Setup(auth="user:pass", ui=True), method=method).status_code == 200


def test_large_answers_are_compressed_for_who_accepts_it(play: Play) -> None:
    assert asked(play, "options").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in asked(play, "options", headers={"accept-encoding": "identity"}).headers
    assert "content-encoding" not in asked(play, "memory").headers


def test_a_dead_forge_refuses_and_comes_back_where_it_was(play: Play) -> None:
    async def scene(forge: SimulatedForge, client: httpx.AsyncClient) -> None:
        await client.get("memory")
        before = forge.url
        await forge.go_down()
        with pytest.raises(httpx.ConnectError):
            await client.get("memory")
        await forge.come_up()
        await forge.come_up()
        assert forge.url == before
        assert (await client.get("memory")).status_code == 200

    play(scene)


def test_requests_are_kept_in_order(play: Play) -> None:
    async def scene(_: SimulatedForge, client: httpx.AsyncClient) -> None:
        await client.get("memory")
        await client.post("interrupt")

    assert list(play(scene).requests) == ["GET /sdapi/v1/memory", "POST /sdapi/v1/interrupt"]


def test_a_thread_serves_those_who_are_not_asynchronous() -> None:
    with ForgeThread(clock=SystemClock(500)) as running:
        assert httpx.get(f"{running.url}/sdapi/v1/memory", trust_env=False).status_code == 200
        assert running.wait(lambda forge: forge.run_job(steps=1)).images == 1
        running.call(lambda forge: forge.fault("error"))
        assert httpx.get(f"{running.url}/sdapi/v1/memory", trust_env=False).status_code == 500


def test_a_thread_not_started_says_how() -> None:
    with pytest.raises(RuntimeError, match="with"):
        _ = ForgeThread().url
    with pytest.raises(RuntimeError, match="with"):
        ForgeThread().call(lambda forge: forge.url)
