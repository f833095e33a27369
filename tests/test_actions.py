"""Writing to a simulated Forge: what is set, what is told, and what is not claimed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from forgediag.actions import Address, Applied, NotAppliedError, apply, apply_advice
from forgediag.model import Advice, Expected, Setting
from forgediag.testing.forge import ForgeThread, JobRequest, Pace, Setup

SLOW = Pace(step=30)
BEST = Setting(3400, 8888, "Queue", "Shared")


def advice(also: dict[str, int] | None = None, flags: tuple[str, ...] = ()) -> Advice:
    return Advice("model", None, BEST, also or {}, Expected(), (), (), "estimated", flags)


@contextmanager
def forge(**how: Any) -> Iterator[tuple[ForgeThread, Address]]:
    with ForgeThread(Setup(**how)) as running:
        yield running, Address(running.url, timeout=2)


def run(address: Address, wanted: dict[str, Any] | Advice) -> Applied:
    if isinstance(wanted, Advice):
        return asyncio.run(apply_advice(address, wanted))
    return asyncio.run(apply(address, wanted))


def refused(address: Address, wanted: dict[str, Any] | Advice) -> str:
    with pytest.raises(NotAppliedError) as caught:
        run(address, wanted)
    text = str(caught.value)
    assert "\n" not in text
    return text


def posts(running: ForgeThread) -> int:
    return running.call(lambda it: list(it.requests).count("POST /sdapi/v1/options"))


def effective(running: ForgeThread) -> float:
    return running.call(lambda it: it.options.effective_mb)


def test_advice_is_set_in_one_write_and_in_effect() -> None:
    with forge() as (running, address):
        applied = run(address, advice({"flux_GPU_MB": 8888}))
        assert posts(running) == 1
        assert effective(running) == 3400
    assert {change.key: (change.old, change.new) for change in applied.changes} == {
        "forge_inference_memory": (1024, 3400),
        "forge_async_loading": ("Queue", "Queue"),
        "forge_pin_shared_memory": ("CPU", "Shared"),
        "flux_GPU_MB": (11264, 8888),
    }
    assert applied.undo == {"forge_inference_memory": 1024, "forge_pin_shared_memory": "CPU", "flux_GPU_MB": 11264}
    assert not applied.nudged


def test_undoing_puts_everything_back() -> None:
    with forge() as (running, address):
        run(address, dict(run(address, advice()).undo))
        assert effective(running) == 1024
        assert running.call(lambda it: it.options.value("forge_pin_shared_memory")) == "CPU"


def test_a_value_not_in_effect_after_a_restart_is_nudged() -> None:
    with forge() as (running, address):
        run(address, advice())
        running.wait(lambda it: it.restart())
        assert effective(running) == 1024
        applied = run(address, advice())
        assert effective(running) == 3400
        assert running.call(lambda it: it.options.value("forge_inference_memory")) == 3400
    assert applied.nudged
    assert applied.undo == {}


def test_a_change_of_the_swap_needs_no_nudge() -> None:
    with forge(config={"forge_inference_memory": 3400}) as (running, address):
        assert not run(address, advice()).nudged
        assert posts(running) == 1
        assert effective(running) == 3400


def test_options_that_are_not_about_memory_are_not_nudged() -> None:
    with forge() as (running, address):
        assert not run(address, {"CLIP_stop_at_last_layers": 2}).nudged
        assert posts(running) == 1


def test_nothing_is_written_while_a_job_runs() -> None:
    with forge(pace=SLOW) as (running, address):
        running.call(lambda it: it.start_job(JobRequest()))
        until = time.monotonic() + 10  # a job just posted is not told of for a moment, as by a real Forge
        while '"job":"scripts_txt2img"' not in httpx.get(f"{running.url}/sdapi/v1/progress", trust_env=False).text:
            assert time.monotonic() < until
            time.sleep(0.01)
        told = refused(address, advice())
        assert posts(running) == 0
    assert "a job is running" in told
    assert "nothing was written" in told


@pytest.mark.parametrize("auth", [None, ("user", "wrong")])
def test_a_wrong_password_writes_nothing(auth: tuple[str, str] | None) -> None:
    with forge(auth="user:right") as (running, address):
        told = refused(Address(address.url, auth), advice())
        assert posts(running) == 0
    assert "wants a user and password" in told
    assert "nothing was written" in told


def test_a_password_asked_for_only_when_writing_is_told() -> None:
    with forge() as (running, address):
        transport = Losing(running, post=lambda _: httpx.Response(401, json={"detail": "Not authenticated"}))
        told = refused(Address(address.url, transport=transport), advice())
    assert "401" in told


def test_a_right_password_writes() -> None:
    with forge(auth="user:right") as (running, address):
        run(Address(address.url, ("user", "right")), advice())
        assert effective(running) == 3400


class Losing(httpx.AsyncBaseTransport):
    """The network to a Forge, on which writes, or what follows them, go wrong."""

    def __init__(self, running: ForgeThread, post: Any = None, after: Any = None) -> None:
        self.inner = httpx.AsyncHTTPTransport()
        self.running, self.post, self.after = running, post, after
        self.written = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and self.post is not None:
            response: httpx.Response = self.post(request)
            return response
        if self.written and self.after is not None:
            self.after(request)
        self.written = self.written or request.method == "POST"
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def gone(_: httpx.Request) -> None:
    raise httpx.ConnectError("connection refused")


def test_a_forge_that_dies_before_the_read_back_is_not_said_to_have_it() -> None:
    with forge() as (running, address):
        told = refused(Address(address.url, transport=Losing(running, after=gone)), advice())
        assert effective(running) == 3400
    assert "were written, but whether Forge has taken it is not known" in told


def test_a_forge_that_dies_while_it_is_written_to_is_not_said_to_have_it() -> None:
    def dies(request: httpx.Request) -> httpx.Response:
        transport.written = True
        raise httpx.ReadError("connection reset")

    with forge() as (running, address):
        transport = Losing(running, post=dies, after=gone)
        told = refused(Address(address.url, transport=transport), advice())
    assert "went away while it was written to" in told
    assert "not known" in told


def test_a_forge_that_has_gone_before_the_write_has_nothing() -> None:
    with forge() as (running, address):
        transport = Losing(running, post=gone)
        told = refused(Address(address.url, transport=transport), advice())
    assert "nothing was written" in told


def test_a_nudge_that_ends_half_way_is_told() -> None:
    def second(request: httpx.Request) -> httpx.Response:
        if b"3401" in request.content:
            running.call(lambda it: it.options.post({"forge_inference_memory": 3401}))
            return httpx.Response(200, json=None)
        raise httpx.ConnectError("connection refused")

    with forge(config={"forge_inference_memory": 3400, "forge_pin_shared_memory": "Shared"}) as (running, address):
        told = refused(Address(address.url, transport=Losing(running, post=second)), advice())
    assert "forge_inference_memory was written as 3401 first: set it again" in told


def test_a_write_nobody_answered_is_looked_for() -> None:
    with forge() as (running, address):

        def hangs(request: httpx.Request) -> httpx.Response:
            running.call(lambda it: it.options.post({"forge_inference_memory": 3400}))
            raise httpx.ReadTimeout("timed out")

        told = refused(Address(address.url, transport=Losing(running, post=hangs)), advice())
    assert "did not answer the write" in told
    assert "forge_inference_memory 1024.0 -> 3400.0" in told


def test_a_refused_write_tells_what_it_changed_all_the_same() -> None:
    def half(request: httpx.Request) -> httpx.Response:
        running.call(lambda it: it.options.post({"forge_pin_shared_memory": "Shared"}))
        return httpx.Response(500, json={"error": "KeyError", "detail": "", "body": "", "message": "'x'"})

    with forge() as (running, address):
        told = refused(Address(address.url, transport=Losing(running, post=half)), advice())
    assert "Forge refused: 500 KeyError 'x'" in told
    assert "it has changed forge_pin_shared_memory 'CPU' -> 'Shared'" in told


@pytest.mark.parametrize(("body", "words"), [(b"oops", "500 without"), (b"[1]", "500 without"), (b"{}", "500")])
def test_a_refusal_without_a_reason_is_told(body: bytes, words: str) -> None:
    with forge() as (running, address):
        transport = Losing(running, post=lambda _: httpx.Response(500, content=body))
        told = refused(Address(address.url, transport=transport), advice())
    assert words in told
    assert "nothing was changed" in told


def test_a_refusal_after_which_forge_is_gone_claims_nothing() -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        transport.written = True
        return httpx.Response(500, json={"error": "TypeError", "message": "x"})

    with forge() as (running, address):
        transport = Losing(running, post=refuses, after=gone)
        told = refused(Address(address.url, transport=transport), advice())
    assert "is not known" in told


def test_what_forge_says_it_did_not_take_is_told() -> None:
    with forge() as (running, address):
        transport = Losing(running, post=lambda _: httpx.Response(200, json=None))
        told = refused(Address(address.url, transport=transport), advice())
    assert "Forge has not taken everything: forge_inference_memory is 1024.0, not 3400" in told


def test_neo_is_not_sent_what_it_does_not_have() -> None:
    with forge(fork="neo") as (running, address):
        told = refused(address, advice(flags=("--reserve-vram 3.3",)))
        assert posts(running) == 0
    assert "start it with --reserve-vram 3.3 instead" in told


def test_ersatzforge_gets_its_one_option_for_the_swap() -> None:
    with forge(fork="ersatzforge") as (running, address):
        run(address, advice({"flux_GPU_MB": 3400}))
        assert running.call(lambda it: it.options.value("forge_swap")) == "Shared + Queue"
        assert running.call(lambda it: it.options.value("flux_GPU_MB")) == 3400


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"no_such_option": 1}, "this Forge has no option 'no_such_option'"),
        ({"forge_inference_memory": "lots"}, "forge_inference_memory is a number, 'lots' is a text"),
        ({"forge_inference_memory": True}, "is a switch"),
        ({"forge_canvas_plain": 1}, "forge_canvas_plain is a switch"),
        ({"forge_additional_modules": "ae.safetensors"}, "is a list"),
        ({"forge_async_loading": {}}, "is a table"),
        ({"forge_async_loading": None}, "None is a null"),
    ],
)
def test_what_would_break_forges_options_is_not_sent(wanted: dict[str, Any], words: str) -> None:
    with forge() as (running, address):
        assert words in refused(address, wanted)
        assert posts(running) == 0


def test_an_option_of_a_wrong_type_can_be_set_right() -> None:
    with forge(config={"CLIP_stop_at_last_layers": "two"}) as (_, address):
        assert "CLIP_stop_at_last_layers has a value of a wrong type" in refused(address, advice())
        applied = run(address, {"CLIP_stop_at_last_layers": 2})
    assert applied.changes[0].new == 2


def test_modules_are_told_by_their_names() -> None:
    with forge() as (_, address):
        applied = run(address, {"forge_additional_modules": ["ae.safetensors"]})
        told = refused(address, {"forge_additional_modules": ["missing.safetensors"]})
    assert applied.changes[0].new == ["/opt/forge/models/VAE/ae.safetensors"]
    assert "has not taken everything" in told


def test_a_forge_that_is_not_there_is_told() -> None:
    with forge() as (_, address):
        pass
    told = refused(address, advice())
    assert "nothing answers" in told
    assert "nothing was written" in told


def test_options_that_cannot_be_read_before_are_not_written() -> None:
    with forge() as (running, address):
        running.call(lambda it: it.fault("html", "/sdapi/v1/options"))
        assert "nothing was written" in refused(address, advice())
        assert posts(running) == 0
