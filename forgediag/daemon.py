"""The order of things: poll, sample, observe, check, advise, and hand the newest report to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from forgediag.check import Check
from forgediag.config import Config, TargetConfig, state_dir
from forgediag.gpus import GpuSource, first_look
from forgediag.history import Chronicle, HistoryWriter, Limits
from forgediag.judge import Judge
from forgediag.model import (
    MB,
    Gap,
    GpuMemory,
    Host,
    Known,
    Nvml,
    Own,
    Recent,
    Report,
    Snapshot,
)
from forgediag.multi import alone
from forgediag.notice import Notices
from forgediag.profile.recent import Recorded
from forgediag.sources.host import read_host, read_own
from forgediag.sources.meter import Meter
from forgediag.sources.thread import in_thread

if TYPE_CHECKING:
    from forgediag.sources.poll import Read
    from forgediag.watch import Watch
    from forgediag.watchers import Watchers

ADVISE_EVERY = 5.0
"""Seconds between two looks whether the advice still fits; the search itself only runs when something changed."""

FIRST_LOOK = 2.0
"""Seconds the sampler's first look is waited for; a driver that hangs is a gap after this long."""

FIRST_POLL = 2.0
"""Seconds in which every target's first poll is waited for: one that hangs must not keep the others' facts back."""

log = logging.getLogger(__name__)


class Daemon:
    """Runs every source and keeps the newest report. Belongs to one event loop."""

    def __init__(
        self,
        config: Config,
        checks: Sequence[Check],
        gpus: GpuSource,
        *,
        on_report: Callable[[Report], None] | None = None,
        keep_history: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read.

        Args:
            config: what to watch and how often.
            checks: what to judge.
            gpus: the sampler, not yet started.
            on_report: told of each new report.
            keep_history: whether this runs for long: history is kept and notices are sent, as the config wants it.
            clock: monotonic seconds, the ones the sampler counts in.
            wall: Unix seconds.
        """
        self._config, self._gpus = config, gpus
        self._judge = Judge(checks, clock)
        self._on_report = on_report
        self._clock, self._wall = clock, wall
        self._notices = Notices(config.notice, clock=clock) if config.notice.ram_below_mb and keep_history else None
        self._history: HistoryWriter | None = None
        self._chronicle: Chronicle | None = None
        if config.history.days > 0 and keep_history:
            limits = Limits(config.history.days, config.history.megabytes * MB)
            self._history = HistoryWriter(state_dir(config), limits, wall=wall)
            self._chronicle = Chronicle(self._history.add)
        self._watching = self._watchers()
        self._watches = self._watching.watches if self._watching is not None else []
        self._host: Known[Host] = Gap("this machine's memory was not read yet", "starting", expected=True)
        self._own: Own | None = None
        self._nvml_meter, self._host_meter, self._history_meter = Meter("nvml"), Meter("host"), Meter("history")
        self._recorded: dict[str, Recorded] = {}
        self._recorded_at = clock()
        self._report: Report | None = None
        self._started = clock()
        self._was_stuck = False

    def _watchers(self) -> Watchers | None:
        """What watches the Forges; nothing of it is imported where there is none."""
        if not self._config.targets:
            return None
        from forgediag.watchers import Watchers  # noqa: PLC0415 - 7 MiB that a machine without a Forge does without

        return Watchers(
            self._config,
            self._gpus,
            self._on_job,
            self._history.add if self._history else None,
            (self._clock, self._wall),
        )

    def _on_job(self, busy: Collection[str]) -> None:
        self._gpus.job_running(bool(busy), self._gpus_of(busy))

    def _gpus_of(self, busy: Collection[str]) -> frozenset[str] | None:
        """UUIDs of the cards of these Forges; None when that is not known of every one."""
        targets = self._report.snapshot.targets if self._report else ()
        gpus = {target.name: target.gpu.info.uuid for target in targets if not isinstance(target.gpu, Gap)}
        return frozenset(gpus[name] for name in busy) if gpus.keys() >= set(busy) else None

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set; then end everything within a second, a hung driver call left behind."""
        self._gpus.start()
        if self._history is not None:
            self._history.start()
        jobs = [self._every(self._config.pace.tick, self.tick), self._every(self._config.pace.host, self._read_host)]
        for watch in self._watches:
            watch.start()
            jobs += [watch.poll.run(), self._follow(watch), self._advise(watch)]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        ended = asyncio.ensure_future(stop.wait())
        await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                log.error("a source ended unexpectedly", exc_info=error)
            task.cancel()
        await asyncio.wait(tasks, timeout=1.0)
        self._close()

    async def observe_once(self, within: float = 4.0) -> Report:
        """Read every source once and judge, in about `within` seconds; what takes longer is a gap."""
        until = self._clock() + within
        self._gpus.start()
        self._read_host()
        await asyncio.gather(
            in_thread(lambda: first_look(self._gpus, FIRST_LOOK)), *(watch.look(until) for watch in self._watches)
        )
        for watch in self._watches:
            with contextlib.suppress(asyncio.TimeoutError):
                observed = watch.observe(self._gpus.snapshot())
                await asyncio.wait_for(watch.adviser.refresh(observed, self._host), max(0.3, until - self._clock()))
        report = self.tick()
        self._close()
        return report

    def _close(self) -> None:
        self._gpus.stop()
        if self._history is not None:
            self._history.stop()
        if self._watching is not None:
            self._watching.close()

    async def _every(self, seconds: float, act: Callable[[], object]) -> None:
        while True:
            act()
            await asyncio.sleep(seconds)

    async def _follow(self, watch: Watch) -> None:
        """Look for the process, the install directory and the files: in threads, for disks can be slow."""
        while True:
            await watch.local.refresh(watch.poll.url, watch.poll.facts())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(watch.poll.changed.wait(), self._config.pace.files)
            watch.poll.changed.clear()
            self._judge.doubt(watch.poll.target.name)
            await asyncio.sleep(self._config.pace.tick)

    async def _advise(self, watch: Watch) -> None:
        while True:
            if not watch.poll.counts.job_running or _starting(watch.adviser.advice):  # free memory moves in a job
                await watch.adviser.refresh(watch.observe(self._gpus.snapshot()), self._host)
            await asyncio.sleep(self._config.pace.tick if _starting(watch.adviser.advice) else ADVISE_EVERY)

    def _read_host(self) -> None:
        started = self._clock()
        self._host, self._own = read_host(), read_own()
        self._host_meter.record(self._host, self._clock() - started, self._wall())

    def tick(self) -> Report:
        """Observe, judge again when something changed or time has passed, and make the newest report."""
        nvml = self._gpus.snapshot()
        self._nvml_meter.record(nvml, 0.0, self._wall())
        for watch in self._watches:
            watch.listen()
        stuck = self._gpus.stuck is not None
        if stuck != self._was_stuck:
            self._judge.doubt()
        self._was_stuck = stuck
        snapshot = replace(self._observe(nvml, self._watches, self._meters()), recent=self._recent(nvml))
        self._report = self._conclude(snapshot, self._watches)
        if self._chronicle is not None:
            self._chronicle.follow(self._report)
        if self._notices is not None:
            self._notices.follow(self._report)
        if self._on_report:
            self._on_report(self._report)
        return self._report

    def _observe(self, nvml: Known[Nvml], watches: Sequence[Watch], meters: Sequence[Meter]) -> Snapshot:
        return Snapshot(
            at=self._wall(),
            targets=tuple(watch.observe(nvml) for watch in watches),
            nvml=nvml,
            host=self._host,
            sources=tuple(meter.read() for meter in meters),
            tallies={watch.poll.target.name: watch.poll.counts.read() for watch in watches},
            sampler_lag=self._gpus.lag,
            own=self._own,
        )

    def _conclude(self, snapshot: Snapshot, watches: Sequence[Watch]) -> Report:
        findings, results = self._judge.judge(snapshot)
        return Report(snapshot, findings, results, {watch.poll.target.name: watch.adviser.advice for watch in watches})

    @property
    def targets(self) -> Sequence[TargetConfig]:
        """The configured Forges."""
        return self._config.targets

    async def probe(self, name: str, seconds: float) -> tuple[Report, Sequence[Read]]:
        """A report of one target alone after a fresh look at it within `seconds`, and what was read meanwhile."""
        watch = next(watch for watch in self._watches if watch.poll.target.name == name)
        started = self._clock()
        fresh = await watch.poll.fresh(seconds)
        waited = self._clock() - started
        watch.listen()
        meters = (watch.poll.meter, watch.local.meter)
        report = self._conclude(self._observe(self._gpus.snapshot(), [watch], meters), [watch])
        reads = [read for read in watch.poll.reads if read.at >= started]
        return alone(report, fresh=fresh, seconds=waited), reads

    def _recent(self, nvml: Known[Nvml]) -> dict[str, Recent]:
        """Memory used on each card in the last seconds; a card that cannot be read now leaves a hole."""
        before, self._recorded_at = self._recorded_at, self._clock()
        read: dict[str, int | None] = dict.fromkeys(self._recorded)
        for gpu in () if isinstance(nvml, Gap) else nvml.gpus:
            if isinstance(gpu.memory, GpuMemory):
                peak = self._gpus.curve(gpu.info.uuid, before, self._recorded_at).peak(before, self._recorded_at)
                read[gpu.info.uuid] = max(gpu.memory.used, peak or 0)
        for uuid, value in read.items():
            self._recorded.setdefault(uuid, Recorded()).add(self._wall(), value)
        return {uuid: recorded.read() for uuid, recorded in self._recorded.items()}

    def _meters(self) -> list[Meter]:
        own = [self._nvml_meter, self._host_meter]
        if self._history is not None:
            self._history_meter.record(self._history.gap, 0.0, self._wall())
            own.append(self._history_meter)
        return own + [meter for watch in self._watches for meter in (watch.poll.meter, watch.local.meter)]

    def report(self) -> Report | None:
        """The newest report; None before the first poll is done, or has taken too long to wait for.

        A driver call that has begun to hang is noticed here at once, not at the next tick.
        """
        if (self._gpus.stuck is not None) != self._was_stuck:
            self.tick()
        report = self._report
        if report is None:
            return None
        patient = self._clock() - self._started < FIRST_POLL
        return None if patient and any(_starting(target.forge) for target in report.snapshot.targets) else report


def _starting(fact: object) -> bool:
    return isinstance(fact, Gap) and fact.kind == "starting"


def stop_on_signals(stop: asyncio.Event, reload: asyncio.Event | None = None) -> None:
    """Set `stop` on SIGTERM and Ctrl-C (Windows has no loop handlers for them), `reload` on SIGHUP."""
    loop = asyncio.get_running_loop()

    def set_from_signal(event: asyncio.Event) -> Callable[..., object]:
        return lambda *_: loop.call_soon_threadsafe(event.set)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), set_from_signal(stop))
    if reload is not None and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, set_from_signal(reload))
