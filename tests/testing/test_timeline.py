"""The demo's day, played in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from forgediag.forge.log import LogReader
from forgediag.model import MB
from forgediag.profile.phases import timeline
from forgediag.testing.forge import Setup, SimulatedForge, SystemClock, VirtualClock
from forgediag.testing.gpu import SimulatedGpu
from forgediag.testing.timeline import CYCLE, DEMO_PACE, HOT, SAVED_PAGE, connect, lively, play, setup_on

SECONDS = sum(action.after for action in CYCLE)


async def watched(cycles: int) -> tuple[Counter[str], list[str], SimulatedForge]:
    """What happened, by second: phases, whether GET options and the server broke; the errors; the Forge at the end."""
    clock = VirtualClock()
    forge = SimulatedForge(Setup(pace=DEMO_PACE), clock=clock)
    seen: Counter[str] = Counter()
    async with forge:
        forge.on_phase(lambda change: seen.update([change.phase]))
        playing = asyncio.ensure_future(play(forge, islice(lively(), cycles * len(CYCLE))))
        for _ in range(round(cycles * SECONDS) + 3):
            await clock.advance(1.0)
            await asyncio.sleep(0.001)
            seen["interrupted"] += forge.engine.state.interrupted
            seen["options broken"] += forge.options.get()[0] == 500
            seen["busy"] += forge.engine.state.job_count != 0
        await playing
    return seen, forge.errors, forge


def test_a_cycle_lasts_about_three_minutes() -> None:
    assert 120 <= SECONDS <= 200


def test_a_cycle_shows_good_jobs_an_interruption_a_failure_of_each_kind_and_an_idle_end() -> None:
    seen, errors, forge = asyncio.run(watched(1))
    assert [error.split(".")[0].split(":")[0] for error in errors] == [
        "CUDA out of memory",
        "Error(s) in loading state_dict for IntegratedAutoencoderKL",
        "'NoneType' object has no attribute 'sd_checkpoint_info'",
    ]
    assert seen["vae_decode"] == 6
    assert seen["interrupted"] > 0
    assert seen["options broken"] > 0
    assert forge.engine.state.job == ""
    assert forge.options.get()[0] == 200


def test_the_next_cycle_is_like_the_first() -> None:
    once, errors, _ = asyncio.run(watched(1))
    twice, both, _ = asyncio.run(watched(2))
    assert both == errors * 2
    assert twice["vae_decode"] == 2 * once["vae_decode"]


def test_forge_is_busy_for_most_of_the_day_but_not_all_of_it() -> None:
    seen, _, _ = asyncio.run(watched(1))
    assert 0.4 < seen["busy"] / SECONDS < 0.9


def test_a_card_follows_its_forge_and_is_free_when_that_has_died() -> None:
    async def act() -> list[int]:
        now = [0.0]
        gpu = SimulatedGpu(clock=lambda: now[0])
        clock = VirtualClock()
        sizes: list[int] = []

        async def after(seconds: float) -> None:
            await clock.advance(seconds)
            now[0] += 10
            sizes.append(gpu.forge_memory() // MB)

        async with SimulatedForge(setup_on(gpu), clock=clock) as forge:
            connect(forge, gpu)
            task = forge.start_job(width=1024, height=1024)
            await after(5)
            assert forge.torch.free == gpu.total - gpu.reserved - gpu.other[1] - forge.torch.used
            await forge.go_down()
            assert task.cancelled()
            await after(0)
            await forge.restart()
            await after(0)
        return sizes

    assert asyncio.run(act()) == [2660, 0, 620]


def test_the_day_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def act() -> None:
        async with SimulatedForge(clock=SystemClock(1000)) as forge:
            await play(forge, CYCLE[2:5])
            await play(forge, [action for action in CYCLE if action.deed in {"fault", "heal"}])

    with caplog.at_level("INFO"):
        asyncio.run(act())
    assert "simulated Forge: SDXL is selected" in caplog.text


def test_the_card_is_lost_and_found_and_hot_and_cool_again(tmp_path: Path) -> None:
    gpu = SimulatedGpu()
    page = tmp_path / SAVED_PAGE
    page.parent.mkdir(parents=True)
    seen: list[tuple[str, bool, int, bool]] = []

    async def act() -> None:
        async with SimulatedForge(Setup(root=str(tmp_path)), clock=SystemClock(1000)) as forge:
            for action in CYCLE:
                if action.deed in {"lose", "find", "heat", "cool", "download", "tidy"}:
                    await play(forge, [action], gpu)
                    seen.append((action.deed, gpu.lost, gpu.throttled, page.exists()))

    asyncio.run(act())
    assert seen == [
        ("heat", False, HOT, False),
        ("cool", False, 0, False),
        ("download", False, 0, True),
        ("tidy", False, 0, False),
        ("lose", True, 0, False),
        ("find", False, 0, False),
    ]


def test_the_console_of_a_generation_tells_its_phases(tmp_path: Path) -> None:
    async def act(log: Path) -> None:
        async with SimulatedForge(Setup(log=str(log)), clock=SystemClock(1000)) as forge:
            await forge.run_job(steps=4)

    asyncio.run(act(tmp_path / "forge.log"))
    events = LogReader().feed((tmp_path / "forge.log").read_text("utf-8"), 1.0)
    told = timeline([replace(seen, at=float(at), began=float(at)) for at, seen in enumerate(events)], 0.0, 99.0)
    assert [span.name for span in told.spans] == ["load", "other", "text_encode", "unet_load", "sample", "vae_decode"]
    assert [load.target for load in told.loads] == ["JointTextEncoder", "KModel", "IntegratedAutoencoderKL"]
    assert len(told.steps) == 4
