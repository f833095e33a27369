"""Forge's system information: asked for on purpose, read without settings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from forgediag.config import Paces, TargetConfig
from forgediag.model import Flags, Forge, Gap, Options, Sysinfo
from forgediag.sources.counts import TargetCounts
from forgediag.sources.forge_answers import AnswerError, parse_sysinfo
from forgediag.sources.poll import ForgePoll
from forgediag.testing.forge import Setup, SimulatedForge

RECORDED = {  # excerpt of a real answer
    "Python": "3.11.7",
    "Version": "f2.0.1v1.10.1-1.10.1",
    "Commit": "<none>",
    "Torch env info": {"torch_version": "2.13.0+cpu", "cuda_compiled_version": None},
    "Exceptions": [{"exception": "first line\nsecond", "traceback": []}, {"exception": None}, "x"],
    "Config": {"api_key": "secret"},
    "Packages": ["accelerate==0.31.0", "pytorch_lightning==1.9.4", "-e git+x", 7],
}


def test_versions_and_the_first_line_of_each_exception_are_kept() -> None:
    assert parse_sysinfo(RECORDED) == Sysinfo(
        version="f2.0.1v1.10.1-1.10.1",
        commit=None,
        python="3.11.7",
        torch="2.13.0+cpu",
        torch_cuda=None,
        packages={"accelerate": "0.31.0", "pytorch-lightning": "1.9.4"},
        exceptions=("first line",),
    )


@pytest.mark.parametrize("body", [{}, {"Torch env info": "none", "Packages": "none", "Exceptions": 1}])
def test_what_is_missing_is_not_known(body: Any) -> None:
    made = parse_sysinfo(body)
    assert (made.torch, made.packages, made.exceptions) == (None, {}, ())


def test_a_list_is_no_sysinfo() -> None:
    with pytest.raises(AnswerError):
        parse_sysinfo([])


async def polled(setup: Setup, within: float = float("inf")) -> Forge:
    async with SimulatedForge(setup) as forge:
        poll = ForgePoll(TargetConfig(url=forge.url), Paces())
        await poll.read_once(within)
        await poll.close()
        found = poll.facts()
    assert isinstance(found, Forge)
    return found


def test_one_look_asks_a_forge_with_a_page_for_it() -> None:
    assert isinstance(asyncio.run(polled(Setup(ui=True))).sysinfo, Sysinfo)
    assert isinstance(asyncio.run(polled(Setup())).sysinfo, Gap)


def test_what_no_time_is_left_for_is_a_gap() -> None:
    forge = asyncio.run(polled(Setup(ui=True), 0.0))
    assert isinstance(forge.options, Gap)
    assert "no time was left to ask for options" in forge.options.reason


def test_a_running_poll_asks_for_it_when_something_went_wrong() -> None:
    async def act() -> list[str]:
        async with SimulatedForge(Setup(ui=True)) as forge:
            poll = ForgePoll(TargetConfig(url=forge.url), Paces(progress=0.05, options=0.05))
            poll.want_sysinfo()  # not known yet whether it has a page: nothing is asked
            task = asyncio.ensure_future(poll.run())
            await asyncio.sleep(0.3)
            poll.want_sysinfo()
            await asyncio.sleep(0.3)
            poll.want_sysinfo()
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return [path for path in forge.requests if "sysinfo" in path]

    assert len(asyncio.run(act())) == 1


def options(**values: object) -> Options:
    return Options({"forge_inference_memory": 4096.0, "forge_async_loading": "Async", **values})


def test_what_an_opened_page_reset_is_remembered_until_it_is_set_again() -> None:
    counts = TargetCounts(())
    counts.flags(Flags({}))
    counts.options(options())
    counts.options(options(forge_inference_memory=1024.0, forge_async_loading="Queue"))
    assert counts.read().page_reset == {
        "forge_async_loading": ("Async", "Queue"),
        "forge_inference_memory": (4096.0, 1024.0),
    }
    counts.options(options(forge_inference_memory=1024.0))
    assert counts.read().page_reset == {"forge_inference_memory": (4096.0, 1024.0)}
    counts.options(options())
    assert counts.read().page_reset == {}
