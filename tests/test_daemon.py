"""The order of things: what the daemon concludes when, with scripted clocks and a scripted sampler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.check import Check
from forgediag.config import Config, Paces, TargetConfig
from forgediag.daemon import Daemon
from forgediag.model import Forge, Gap, GpuMemory, Known, Nvml, Recent, Report, Severity, Target
from forgediag.plugins import checks
from forgediag.profile.curve import Curve
from forgediag.testing.facts import GPU, NVML
from forgediag.testing.forge import Pace, Setup, SimulatedForge

HUNG = Gap("the NVIDIA driver hangs", "hung")


class ScriptedGpus:
    """A sampler that says what it is told to."""

    def __init__(self, known: Known[Nvml] = NVML) -> None:
        self.known = known
        self.stuck: Gap | None = None
        self.lag: float | None = 0.0
        self.jobs: list[tuple[bool, Collection[str] | None]] = []
        self.started = 0
        self.points: tuple[tuple[float, int], ...] = ()

    def start(self) -> None:
        self.started += 1

    def stop(self) -> None:
        self.started -= 1

    def job_running(self, running: bool, gpus: Collection[str] | None = None) -> None:
        self.jobs.append((running, gpus))

    def snapshot(self) -> Known[Nvml]:
        return self.stuck or self.known

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        curve = Curve()
        for at, used in self.points:
            curve.add(at, used)
        return curve


FAST = Paces(progress=0.05, progress_busy=0.02, memory=0.1, options=0.1, models=0.1, host=0.1, files=0.2, tick=0.05)


def config(url: str, tmp_path: Path, *, hashing: bool = False) -> Config:
    target = TargetConfig(url=url, timeout=1.0)
    return Config(targets=(target,), pace=FAST, hash_models=hashing, state_dir=str(tmp_path))


async def until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 10 s")


def known(daemon: Daemon) -> Report:
    report = daemon.report()
    assert report is not None
    return report


def test_a_report_is_there_once_forge_was_asked_and_everything_ends_with_it(tmp_path: Path) -> None:
    gpus = ScriptedGpus()
    told: list[Report] = []

    async def act() -> None:
        async with SimulatedForge() as forge:
            daemon = Daemon(config(forge.url, tmp_path, hashing=True), checks(), gpus, on_report=told.append)
            stop = asyncio.Event()
            running = asyncio.ensure_future(daemon.run(stop))
            await until(daemon.report)
            assert isinstance(known(daemon).snapshot.targets[0].forge, Forge)
            assert gpus.started == 1
            stop.set()
            await running

    asyncio.run(act())
    assert gpus.started == 0
    assert told


def test_the_sampler_is_told_of_jobs_and_on_which_card(tmp_path: Path) -> None:
    gpus = ScriptedGpus()

    async def act() -> None:
        setup = Setup(pace=Pace(load_per_gb=0.01, text_encode=0.01, unet_load=0.01, step=0.02, vae_decode=0.01))
        async with SimulatedForge(setup) as forge:
            daemon = Daemon(config(forge.url, tmp_path), checks(), gpus)
            stop = asyncio.Event()
            running = asyncio.ensure_future(daemon.run(stop))
            await until(daemon.report)
            await asyncio.sleep(0.2)
            forge.start_job(steps=20)
            await until(lambda: len(gpus.jobs) >= 2)
            stop.set()
            await running

    asyncio.run(act())
    assert gpus.jobs[0] == (True, frozenset({"GPU-1"}))
    assert gpus.jobs[1][0] is False


def test_a_forge_that_generates_from_the_start_is_advised_too(tmp_path: Path) -> None:
    async def act() -> None:
        async with SimulatedForge(Setup(pace=Pace(step=0.5))) as forge:
            forge.start_job(steps=1000)
            gpus = ScriptedGpus()
            daemon = Daemon(config(forge.url, tmp_path), checks(), gpus)
            stop = asyncio.Event()
            running = asyncio.ensure_future(daemon.run(stop))
            await until(daemon.report)
            await until(lambda: getattr(known(daemon).advice["forge"], "kind", "") != "starting")
            assert [busy for busy, _ in gpus.jobs] == [True]
            stop.set()
            await running

    asyncio.run(act())


def test_a_hang_is_noticed_when_asked_not_at_the_next_tick(tmp_path: Path) -> None:
    gpus = ScriptedGpus()
    daemon = Daemon(Config(targets=(), state_dir=str(tmp_path)), checks(), gpus)
    daemon.tick()
    assert known(daemon).snapshot.nvml == NVML
    gpus.stuck = HUNG
    assert known(daemon).snapshot.nvml == HUNG
    gpus.stuck = None
    assert known(daemon).snapshot.nvml == NVML


def test_checks_run_again_after_five_seconds_and_not_at_every_tick(tmp_path: Path) -> None:
    now = [100.0]
    ran: list[float] = []
    gpus = ScriptedGpus()
    probe = Check("probe", "p", "w", Severity.FAILURE, (), lambda _: ran.append(now[0]) or [], (Target,))
    target = Config(targets=(TargetConfig(url="http://127.0.0.1:9"),), hash_models=False, state_dir=str(tmp_path))
    daemon = Daemon(target, [probe], gpus, clock=lambda: now[0])
    for now[0] in (100.0, 101.0, 104.0, 105.0, 106.0, 110.0):
        daemon.tick()
    assert ran == [100.0, 105.0, 110.0]


def test_a_clock_set_back_changes_nothing_but_the_time_told(tmp_path: Path) -> None:
    wall = iter([2000.0, 1000.0, 1001.0] * 10)
    daemon = Daemon(Config(targets=(), state_dir=str(tmp_path)), checks(), ScriptedGpus(), wall=wall.__next__)
    reports = [daemon.tick() for _ in range(3)]
    assert all(report.snapshot.nvml == NVML for report in reports)


def test_memory_of_the_last_minutes_has_the_peaks_between_two_ticks_and_holes_where_nothing_was_read(
    tmp_path: Path,
) -> None:
    now = [100.0]
    gpus = ScriptedGpus()
    daemon = Daemon(
        Config(targets=(), state_dir=str(tmp_path)), checks(), gpus, clock=lambda: now[0], wall=lambda: now[0]
    )
    used = GPU.memory.used if isinstance(GPU.memory, GpuMemory) else 0
    for now[0], peak in ((100.0, 0), (101.0, used + 5), (103.0, 0)):
        gpus.points = ((now[0] - 0.5, peak),)
        daemon.tick()
    gpus.known = Gap("lost", "lost")
    now[0] = 104.0
    assert daemon.tick().snapshot.recent == {"GPU-1": Recent(105, (used, used + 5, used, used, None))}


def test_a_source_that_ends_unexpectedly_ends_the_daemon_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Daemon) -> Report:
        raise ZeroDivisionError

    monkeypatch.setattr(Daemon, "tick", broken)
    daemon = Daemon(Config(targets=(), state_dir=str(tmp_path)), checks(), ScriptedGpus())
    asyncio.run(daemon.run(asyncio.Event()))
    assert "a source ended unexpectedly" in caplog.text


def test_one_look_reads_everything_once(tmp_path: Path) -> None:
    async def act() -> Report:
        async with SimulatedForge() as forge:
            return await Daemon(config(forge.url, tmp_path), checks(), ScriptedGpus()).observe_once()

    report = asyncio.run(act())
    target = report.snapshot.targets[0]
    assert isinstance(target.forge, Forge)
    assert not isinstance(target.forge.options, Gap)
    assert report.results
    assert "forge" in report.advice


def test_one_look_at_a_forge_that_is_down_tries_both_default_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgediag.sources.poll.DEFAULT_URLS", ("http://127.0.0.1:9", "http://127.0.0.1:11"))
    nowhere = Config(hash_models=False, state_dir=str(tmp_path))
    report = asyncio.run(Daemon(nowhere, checks(), ScriptedGpus()).observe_once())
    forge = report.snapshot.targets[0].forge
    assert isinstance(forge, Gap)
    assert forge.reason == "nothing answers at http://127.0.0.1:9 or http://127.0.0.1:11"


def all_answer(daemon: Daemon) -> Report | None:
    """The report once every Forge was polled."""
    report = daemon.report()
    return report if report and all(isinstance(item.forge, Forge) for item in report.snapshot.targets) else None


def test_a_probe_has_its_target_alone_and_fresh(tmp_path: Path) -> None:
    async def act() -> None:
        async with SimulatedForge() as one, SimulatedForge() as two:
            targets = (TargetConfig("one", url=one.url), TargetConfig("two", url=two.url))
            both = replace(config(one.url, tmp_path), targets=targets, pace=replace(FAST, progress=60.0))
            daemon = Daemon(both, checks(), ScriptedGpus())
            stop = asyncio.Event()
            running = asyncio.ensure_future(daemon.run(stop))
            await until(lambda: all_answer(daemon))
            await two.go_down()
            report, reads = await daemon.probe("two", 5.0)
            assert [target.name for target in report.snapshot.targets] == ["two"]
            assert isinstance(report.snapshot.targets[0].forge, Gap)
            assert {result.target for result in report.results} == {"two"}
            assert [health.source for health in report.snapshot.sources] == ["forge:two", "files:two"]
            assert any(read.endpoint == "progress" and read.why for read in reads)
            assert isinstance(known(daemon).snapshot.targets[0].forge, Forge)
            stop.set()
            await running

    asyncio.run(act())


def test_a_forge_whose_first_answer_hangs_does_not_keep_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgediag.daemon.FIRST_POLL", 0.3)

    async def act() -> None:
        async with SimulatedForge() as one, SimulatedForge() as two:
            two.fault("hang")
            targets = (TargetConfig("one", url=one.url), TargetConfig("two", url=two.url, timeout=30.0))
            daemon = Daemon(replace(config(one.url, tmp_path), targets=targets), checks(), ScriptedGpus())
            stop = asyncio.Event()
            running = asyncio.ensure_future(daemon.run(stop))
            await asyncio.sleep(0.1)
            assert daemon.report() is None
            await until(daemon.report)
            assert isinstance(known(daemon).snapshot.targets[0].forge, Forge)
            stop.set()
            await running

    asyncio.run(act())
