"""One target watched: a real console file, a simulated Forge, and a card whose curve is scripted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from forgediag.config import Paces, TargetConfig
from forgediag.model import (
    MB,
    Flags,
    Gap,
    Gpu,
    GpuMemory,
    GpuProcess,
    Job,
    Known,
    Nvml,
    OptionChange,
    Process,
)
from forgediag.profile.curve import Curve
from forgediag.sources.local import LocalFacts
from forgediag.testing.facts import PROCESS
from forgediag.testing.forge import Pace, Setup, SimulatedForge
from forgediag.testing.reports import gpu
from forgediag.watch import Watch

PACE = Paces(progress=0.02, progress_busy=0.01, memory=0.05, options=0.05, models=5.0)
CARD: Gpu = replace(
    gpu(0),
    memory=GpuMemory(12_000 * MB, 7_000 * MB, 4_600 * MB, 400 * MB),
    processes=(GpuProcess(PROCESS.pid, 6_400 * MB),),
)
NVML = Nvml("550.90", (12, 4), (CARD,))
TARGET = "[Memory Management] Target: {}, Free GPU: 9000.00 MB, Model Require: {}, Previously Loaded: 0.00 MB, "
PLACED = TARGET + "Inference Require: 1024.00 MB, Remaining: 3000.00 MB, All loaded to GPU.\n"


class Gpus:
    """A card that goes up to 9 GB while anybody looks."""

    stuck: Gap | None = None
    lag: float | None = 0.0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def job_running(self, running: bool, gpus: Collection[str] | None = None) -> None: ...

    def snapshot(self) -> Known[Nvml]:
        return NVML

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        curve = Curve()
        curve.add(start, 7_000 * MB)
        curve.add(start + 0.001, 9_000 * MB)
        return curve


class Local(LocalFacts):
    """A process that is there."""

    def process(self) -> Known[Process]:
        return PROCESS


def test_a_generation_becomes_a_job_with_its_phases_and_peaks(tmp_path: Path) -> None:
    console = tmp_path / "forge.log"
    console.touch()
    remembered: list[Job | OptionChange] = []

    async def act() -> Watch:
        async with SimulatedForge(Setup(pace=Pace(step=0.02))) as forge:
            target = TargetConfig(url=forge.url, log=str(console))
            watch = Watch(target, PACE, Local(target, None), Gpus())
            watch.remember = remembered.append
            watch.start()
            await watch.poll.read_once()
            watch.observe(NVML)
            polling = asyncio.ensure_future(watch.poll.run())
            await asyncio.sleep(0.1)
            for printed in (
                PLACED.format("JointTextEncoder", "1559.68 MB"),
                PLACED.format("KModel", "4897.05 MB"),
                "Moving model(s) has taken 0.10 seconds\n  0%|          | 0/4 [00:00<?, ?it/s]\n",
            ):
                with console.open("a") as file:
                    file.write(printed)
                await asyncio.sleep(0.1)
            generating = forge.start_job(steps=4)
            until = time.monotonic() + 10
            while not watch.jobs and time.monotonic() < until:
                watch.listen()
                await asyncio.sleep(0.01)
            await generating
            forge.options.post({"forge_inference_memory": 2048})
            await asyncio.sleep(0.3)
            polling.cancel()
            watch.stop()
            return watch

    watch = asyncio.run(act())
    job = watch.jobs[0]
    target = watch.observe(NVML)

    assert job.outcome == "done"
    assert [phase.name for phase in job.phases][:3] == ["text_encode", "unet_load", "sample"]
    assert job.phases[2].device_peak == 9_000 * MB
    assert job.resident_end == PROCESS.resident
    assert dict(job.settings)["forge_inference_memory"] == 1024.0
    assert remembered[0] == job
    assert any(isinstance(item, OptionChange) and item.new == 2048 for item in remembered)
    assert target.jobs == (job,)
    assert target.ledger is not None
    assert {part.component for part in target.ledger.parts if part.name == "weights"} == {"JointTextEncoder", "KModel"}


def test_without_a_card_there_is_no_ledger(tmp_path: Path) -> None:
    target = TargetConfig(url="http://127.0.0.1:9")
    watch = Watch(target, PACE, Local(target, None), Gpus())

    watch.start()
    watch.listen()
    watch.stop()

    assert watch.observe(Gap("no card", "missing")).ledger is None


def test_what_the_vae_computes_in_follows_the_card_and_forges_flags() -> None:
    old = replace(CARD, info=replace(CARD.info, compute_capability=(7, 5)))
    watch = Watch(TargetConfig(url="http://127.0.0.1:9"), PACE, Local(TargetConfig(), None), Gpus())
    unknown = Gap("not read")

    assert watch._vae_bytes(unknown) == 2
    watch._gpu = CARD
    assert watch._vae_bytes(Flags({"port": 7860})) == 2
    assert watch._vae_bytes(Flags({"vae_in_fp32": True})) == 4
    watch._gpu = old
    assert watch._vae_bytes(unknown) == 4
    assert watch._vae_bytes(Flags({"vae_in_fp16": True})) == 2


def test_the_others_share_is_that_of_when_processes_were_listed() -> None:
    """A Forge that loads between two listings of the processes does not make its weights another's."""
    target = TargetConfig(url="http://127.0.0.1:9")
    watch = Watch(target, PACE, Local(target, None), Gpus())
    grown = replace(CARD, memory=GpuMemory(12_000 * MB, 9_000 * MB, 2_600 * MB, 400 * MB), listed=7_000 * MB)

    made = watch.observe(replace(NVML, gpus=(grown,))).ledger

    assert made is not None
    assert {part.name: part.size // MB for part in made.parts}["others"] == 7_000 - 6_400


def test_the_console_begins_and_ends_a_job_without_waiting_for_the_next_answer(tmp_path: Path) -> None:
    console = tmp_path / "forge.log"
    console.touch()
    slow = Paces(progress=60.0, progress_busy=60.0, memory=60.0, options=60.0, models=60.0)

    async def act() -> Job:
        async with SimulatedForge(Setup(pace=Pace(step=0.5, vae_decode=0.5), log=str(console))) as forge:
            target = TargetConfig(url=forge.url, log=str(console))
            watch = Watch(target, slow, Local(target, None), Gpus())
            await watch.poll.read_once()
            polling = asyncio.ensure_future(watch.poll.run())
            watch.start()
            await asyncio.sleep(0.1)
            await forge.run_job(steps=4)
            until = time.monotonic() + 5
            while not watch.jobs and time.monotonic() < until:
                await asyncio.sleep(0.01)
            polling.cancel()
            watch.stop()
            return watch.jobs[0]

    ended = asyncio.run(act())

    assert ended.outcome == "done"
    assert ended.phases[-1].name == "vae_decode"
    assert ended.phases[-1].seconds < 0.5
