"""One target while it is watched: its Forge polled, its files and process known, its generations recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from forgediag.config import Paces, TargetConfig
from forgediag.forge.dtypes import SIZE, Device, Moment, vae_type
from forgediag.forge.log import BarMoved, Seen
from forgediag.gpus import GpuSource
from forgediag.model import (
    CudaMemory,
    Files,
    Flags,
    Forge,
    Gap,
    Gpu,
    GpuMemory,
    Job,
    Known,
    Ledger,
    Nvml,
    OptionChange,
    Process,
    Progress,
    Target,
    TorchMemory,
)
from forgediag.observe import gpu_of
from forgediag.profile.curve import Curve
from forgediag.profile.ledger import Holdings, ledger
from forgediag.profile.progress import Ended
from forgediag.profile.recorder import Facts, Recorder
from forgediag.sources.console import ConsoleFollower, journal
from forgediag.sources.host import is_local
from forgediag.sources.local import LocalFacts
from forgediag.sources.poll import ForgePoll

REMEMBERED = 50
"""Generations and changed options kept in memory; the history keeps more."""

WITH_CONSOLE = 0.5
"""Seconds between two questions for progress in a job, at least, where Forge's console is followed."""

EARLIER = 60.0
"""Seconds of the card's curve before a generation was noticed that are looked at too."""


class Watch:
    """One target. Belongs to one event loop. `remember` is told of finished generations and changed options."""

    def __init__(
        self,
        target: TargetConfig,
        pace: Paces,
        local: LocalFacts,
        gpus: GpuSource,
        *,
        on_job: Callable[[bool], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is sent or opened.

        Args:
            target: which Forge.
            pace: seconds between reads.
            local: what this machine knows of it.
            gpus: where memory curves come from.
            on_job: told whenever a generation begins (True) or ends (False).
            clock: monotonic seconds, the ones `gpus` counts in.
            wall: Unix seconds.
        """
        from forgediag.advise import Adviser  # noqa: PLC0415 - the planner takes 1.7 MiB, and only a Forge needs it

        self._console = _console(target, clock)
        if self._console is not None:  # which tells a job's end and steps by itself
            pace = replace(pace, progress_busy=max(pace.progress_busy, WITH_CONSOLE))
        self.poll = ForgePoll(
            target,
            pace,
            on_job=on_job,
            on_progress=self._on_progress,
            on_options=self._on_options,
            clock=clock,
            wall=wall,
        )
        self.local = local
        self.adviser = Adviser()
        self.jobs: deque[Job] = deque(maxlen=REMEMBERED)
        self.changes: deque[OptionChange] = deque(maxlen=REMEMBERED)
        self.remember: Callable[[Job | OptionChange], object] = lambda _: None
        self._gpus, self._clock, self._wall = gpus, clock, wall
        self._recorder = Recorder(target.name, wall() - clock())
        self._gpu: Known[Gpu] = Gap("not looked at yet", "starting", expected=True)

    async def look(self, until: float) -> None:
        """Read Forge and its files once, by `until` (seconds of the clock). A disk that is too slow makes a gap."""
        left = until - self._clock()
        await self.poll.read_once(left * 0.75)
        try:
            refresh = self.local.refresh(self.poll.url, self.poll.facts())
            await asyncio.wait_for(refresh, max(0.5, until - self._clock()))
        except asyncio.TimeoutError:
            self.local.files = Gap(f"the disk with Forge's files did not answer within {left:.0f} s", "timeout")
        await self.poll.close()

    def start(self) -> None:
        """Begin to follow Forge's console, where one is configured."""
        if self._console is not None:
            loop = asyncio.get_running_loop()
            self._console.on_events = lambda events: self._hear(loop, events)
            self._console.start()

    def stop(self) -> None:
        """Stop following it."""
        if self._console is not None:
            self._console.stop()

    def _hear(self, loop: asyncio.AbstractEventLoop, events: Sequence[Seen]) -> None:
        """In the console's thread: look at a job that begins or has done its last step now, not at the next tick."""
        last = any(isinstance(seen.event, BarMoved) and seen.event.step >= seen.event.steps for seen in events)
        if last or not self.poll.counts.job_running:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._look, last)

    def _look(self, ending: bool) -> None:  # noqa: FBT001 - a state
        self.listen()
        if ending:
            self.poll.await_end()

    def listen(self) -> None:
        """Take what the console said since the last call; work it shows makes the poll look at once."""
        if self._console is None:
            return
        for seen in self._console.history:
            self._recorder.weights.feed(seen.event)
        self._console.history = ()
        if self._recorder.console(self._console.take()) and not self.poll.counts.job_running:
            self.poll.hurry()

    def _on_progress(self, progress: Known[Progress], ended: Sequence[Ended]) -> None:
        now = self._clock()
        process = self.local.process()
        if isinstance(process, Process):
            self._recorder.resident.add(now, process.resident)
        if ended:
            self.listen()
        for item in ended:
            job = self._recorder.end(item, now, self._curve(now, item.seconds or 0.0), self._facts())
            self.jobs.append(job)
            self.poll.counts.job(job)
            if job.outcome in {"failed", "unknown"}:
                self.poll.want_sysinfo()
            self.remember(job)
        self._recorder.progress(progress, now)

    def _on_options(self, changes: Sequence[OptionChange]) -> None:
        self.changes.extend(changes)
        for change in changes:
            self.remember(change)

    def recall(self, jobs: Sequence[Job], changes: Sequence[OptionChange]) -> None:
        """Take what happened before this start, the newest last."""
        self.adviser.earlier = tuple(jobs[:-REMEMBERED])
        self.jobs.extend(jobs)
        self.changes.extend(changes)

    def _curve(self, now: float, seconds: float) -> Curve:
        if isinstance(self._gpu, Gap):
            return Curve()
        return self._gpus.curve(self._gpu.info.uuid, now - seconds - EARLIER, now)

    def _facts(self) -> Facts:
        forge, files = self.poll.facts(), self.local.files
        if isinstance(forge, Gap) or isinstance(forge.options, Gap):
            return Facts()
        options = forge.options
        chosen = files.selected if isinstance(files, Files) else ()
        settings: Mapping[str, str | float] = {
            key: value
            for key in ("forge_inference_memory", "forge_async_loading", "forge_pin_shared_memory")
            if isinstance(value := options.values.get(key), str | float)
        }
        family = next((file.family for file in chosen if file.role == "checkpoint"), None)
        return Facts(options.checkpoint, family, settings, self._vae_bytes(forge.flags))

    def _vae_bytes(self, flags: Known[Flags]) -> int:
        """Bytes of a number the VAE computes in; on a card that is not known, as on a usual one."""
        device = Device()
        if not isinstance(self._gpu, Gap) and self._gpu.info.compute_capability is not None:
            device = Device(self._gpu.info.compute_capability, self._gpu.info.name)
        moment = Moment(0, 0, frozenset() if isinstance(flags, Gap) else flags.switched)
        return SIZE[vae_type(device, moment)]

    def observe(self, nvml: Known[Nvml]) -> Target:
        """The target as it is now."""
        forge, process = self.poll.facts(), self.local.process()
        self._gpu = gpu_of(nvml, process, forge, self.poll.target.gpu, local=is_local(self.poll.url))
        return Target(
            name=self.poll.target.name,
            forge=forge,
            process=process,
            install=self.local.install,
            gpu=self._gpu,
            files=forge if isinstance(forge, Gap) else self.local.files,
            ledger=self._ledger(forge, process),
            jobs=tuple(self.jobs),
            verification=self.local.verification,
            changes=tuple(self.changes),
            unfinished=self.local.unfinished,
        )

    def _ledger(self, forge: Known[Forge], process: Known[Process]) -> Ledger | None:
        gpu = self._gpu
        if isinstance(gpu, Gap) or not isinstance(gpu.memory, GpuMemory):
            return None
        held: int | None = None
        if isinstance(process, Process) and not isinstance(gpu.processes, Gap):
            held = next((item.used for item in gpu.processes if item.pid == process.pid), None)
        if held is not None and gpu.listed is not None:  # what has moved since then is a working Forge's own
            held = max(0, gpu.memory.used - max(0, gpu.listed - held))
        memory = forge.memory if isinstance(forge, Forge) else None
        torch = memory.cuda if isinstance(memory, TorchMemory) and isinstance(memory.cuda, CudaMemory) else None
        if held is not None and torch is not None and not self.poll.counts.job_running:
            self._recorder.context.feed(held, torch.reserved)
        weights = self._recorder.weights.placed
        return ledger(Holdings(self._wall(), gpu.memory, held, torch, self._recorder.context.size, dict(weights)))


def _console(target: TargetConfig, clock: Callable[[], float]) -> ConsoleFollower | None:
    command = tuple(target.log_command) or (journal(target.log_unit) if target.log_unit else ())
    if target.log is None and not command:
        return None
    return ConsoleFollower(path=target.log, command=command, clock=clock)
