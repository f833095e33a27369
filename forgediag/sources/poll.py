"""Polls one configured Forge: each endpoint at its own pace, everything it answers counted on the way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forgediag.config import DEFAULT_URLS, Paces, TargetConfig
from forgediag.model import Flags, Forge, Gap, Known, OptionChange, Progress
from forgediag.profile.progress import Ended
from forgediag.sources.counts import TargetCounts
from forgediag.sources.forge import DOWN, ENDPOINTS, SYSINFO, ForgeClient, assemble
from forgediag.sources.meter import Meter


@dataclass(frozen=True, slots=True)
class Read:
    """One answer of Forge: when it was there (the poll's clock), how long it took, why it was none."""

    at: float
    endpoint: str
    seconds: float
    why: str | None


QUIET = frozenset({"progress", "memory"})
"""Endpoints whose every answer differs: not worth a new judgement."""

LOGGED = 32
"""Answers remembered for the log of a probe."""


ENDING = 0.1
"""Seconds between two questions for progress after a job's last step: its decode takes 0.1 s and more."""

SYSINFO_EVERY = 600.0
"""Least seconds between two questions for the system information."""


class ForgePoll:
    """One target's latest facts. Belongs to one event loop.

    `changed` is set whenever something worth a new judgement has changed; whoever judges clears it.
    """

    def __init__(
        self,
        target: TargetConfig,
        pace: Paces,
        *,
        on_job: Callable[[bool], None] | None = None,
        on_progress: Callable[[Known[Progress], Sequence[Ended]], None] | None = None,
        on_options: Callable[[Sequence[OptionChange]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            target: which Forge.
            pace: seconds between reads.
            on_job: told whenever a generation begins (True) or ends (False).
            on_progress: told every progress answer, with the generations that ended since the last one.
            on_options: told the options that changed.
            clock: monotonic seconds.
            wall: Unix seconds.
        """
        self.target = target
        self.changed = asyncio.Event()
        self._hurried = asyncio.Event()
        self._ending = False
        self.meter = Meter(f"forge:{target.name}")
        self.counts = TargetCounts(ENDPOINTS, target.name)
        self._pace = pace
        self._on_job, self._on_progress, self._on_options = on_job, on_progress, on_options
        self._clock, self._wall = clock, wall
        self._urls = (target.url,) if target.url else DEFAULT_URLS
        self._connect(self._urls[0])
        self._facts: dict[str, Known[Any]] = {}
        self._until = float("inf")
        self._sysinfo_wanted, self._sysinfo_from = False, 0.0
        self._due: dict[str, float] = dict.fromkeys(ENDPOINTS, 0.0)
        self._round = asyncio.Event()
        self._progress_at = float("-inf")
        self.reads: deque[Read] = deque(maxlen=LOGGED)

    def _connect(self, url: str) -> None:
        self.url = url
        self._client = ForgeClient(url, self.target.credentials(), timeout=self.target.timeout)

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                self._hurried.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._hurried.wait(), max(0.0, min(self._due.values()) - self._clock()))
                await self.read_due()
                if self._sysinfo_wanted and not self.counts.job_running and self._clock() >= self._sysinfo_from:
                    await self.read_sysinfo()
        finally:
            await self._client.close()

    async def read_due(self) -> None:
        """Read every endpoint that is due, progress first. A Forge that is down is asked for nothing else."""
        for name in ENDPOINTS:
            if self._hurried.is_set():  # whoever waits for progress does not wait for an endpoint that hangs
                self._hurried.clear()
                if not await self._ask("progress"):
                    break
            if not await self._ask(name):
                break
        self._round, ended = asyncio.Event(), self._round
        ended.set()

    async def _ask(self, name: str) -> bool:
        """Read an endpoint if it is due; False when that shows that Forge is down."""
        if self._due[name] > self._clock():
            return True
        fact = await self._read(name)
        if name == "progress":
            self._progress_at = self._clock()
            if isinstance(fact, Gap) and fact.kind in DOWN:
                await self._down(fact)
                return False
        self._take(name, fact)
        return True

    async def fresh(self, seconds: float) -> bool:
        """Ask now for what moves, and wait for it; whether Forge (or its absence) was seen within `seconds`."""
        asked = self._clock()
        self._due["memory"] = 0.0
        self.hurry()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._read_since(asked), seconds)
        return self._progress_at >= asked

    async def _read_since(self, asked: float) -> None:
        while True:
            await self._round.wait()
            if self._progress_at >= asked:
                return

    async def read_once(self, within: float = float("inf")) -> None:
        """Read everything once, in at most `within` seconds; of two default addresses both are tried.

        What no time was left for is a gap. A Forge with the web UI is asked for its system information too.
        """
        self._until = self._clock() + within
        for _ in self._urls:
            self._due = dict.fromkeys(ENDPOINTS, 0.0)
            await self.read_due()
            found = self.facts()
            if not isinstance(found, Gap) or found.kind not in {"refused", "not_forge"}:
                break
        found = self.facts()
        if isinstance(found, Forge) and isinstance(found.flags, Flags) and not found.flags.on("nowebui"):
            await self.read_sysinfo()
        self._until = float("inf")

    async def read_sysinfo(self) -> None:
        """Ask for the system information: two seconds of Forge's time, so only when it is worth it."""
        self._client.timeout = self._allowed()
        self._sysinfo_wanted, self._sysinfo_from = False, self._clock() + SYSINFO_EVERY
        self._facts["sysinfo"] = await self._client.read(SYSINFO)
        self.changed.set()

    def _allowed(self) -> float:
        """Seconds the next answer may take."""
        return min(self.target.timeout, max(0.05, self._until - self._clock()))

    def want_sysinfo(self) -> None:
        """Something went wrong that Forge may have noted: ask for its system information when it is idle."""
        flags = self._facts.get("cmd-flags")
        self._sysinfo_wanted = isinstance(flags, Flags) and not flags.on("nowebui")

    def hurry(self) -> None:
        """Ask for progress at once: something else showed that a generation has begun."""
        self._due["progress"] = 0.0
        self._hurried.set()

    def await_end(self) -> None:
        """Ask for progress often from now on: the last step is done, and nothing but progress tells a job's end."""
        self._ending = self.counts.job_running
        self.hurry()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _read(self, name: str) -> Known[Any]:
        started = self._clock()
        if started >= self._until and name != "progress":
            return Gap(f"{self.url} answers too slowly: no time was left to ask for {name}", "timeout")
        self._client.timeout = self._allowed()
        fact = await self._client.read(ENDPOINTS[name])
        seconds = self._clock() - started
        if not isinstance(fact, Gap):
            self.counts.request(name, seconds)
        self.meter.record(fact, seconds, self._wall())
        self.reads.append(Read(started + seconds, name, seconds, fact.reason if isinstance(fact, Gap) else None))
        return fact

    async def _down(self, gap: Gap) -> None:
        """Forget what was known; try the next default address, and everything again at the pace of progress."""
        self._progress(gap)
        if len(self._urls) > 1 and gap.kind == "refused":
            gap = replace(gap, reason=f"nothing answers at {' or '.join(self._urls)}")
        if self._facts != (facts := {"progress": gap}):
            self._facts = facts
            self.changed.set()
        self._due = dict.fromkeys(ENDPOINTS, self._clock() + self._pace.progress)
        if len(self._urls) > 1 and gap.kind in {"refused", "not_forge"}:
            await self._client.close()
            self._connect(self._urls[(self._urls.index(self.url) + 1) % len(self._urls)])

    def _take(self, name: str, fact: Known[Any]) -> None:
        if name == "progress":
            self._progress(fact)
        elif name == "options":
            changes = self.counts.options(fact, self._wall())
            if changes and self._on_options:
                self._on_options(changes)
        elif name == "memory":
            self.counts.memory(fact)
        elif name == "cmd-flags":
            self.counts.flags(fact)
        if name not in QUIET and self._facts.get(name) != fact:
            self.changed.set()
        self._facts[name] = fact
        self._due[name] = self._clock() + self._interval(name)

    def _interval(self, name: str) -> float:
        pace, busy = self._pace, self.counts.job_running
        paces: Mapping[str, float] = {
            "progress": pace.progress if not busy else ENDING if self._ending else pace.progress_busy,
            "memory": pace.memory_busy if busy else pace.memory,
            "options": pace.options,
            "cmd-flags": pace.flags,
            "samplers": pace.flags,
        }
        return paces.get(name, pace.models)

    def _progress(self, progress: Known[Any]) -> None:
        before = self.counts.job_running
        ended = self.counts.progress(progress, self._clock())
        self._ending = self._ending and not ended and not _stepping(progress)
        if self._on_progress:
            self._on_progress(progress, ended)
        if self._on_job and self.counts.job_running != before:
            self._on_job(self.counts.job_running)

    def facts(self) -> Known[Forge]:
        """Forge as last read."""
        return assemble(self.url, self._facts)


def _stepping(progress: Known[Progress]) -> bool:
    """Whether another iteration of the job samples: then its end is not near."""
    return not isinstance(progress, Gap) and 0 < progress.step < progress.steps
