"""The memory sampler: one thread that makes every NVML call, fast while a job runs, and tells when a call hangs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import floor

from forgediag.model import Gap, GpuInfo, Known, Nvml
from forgediag.profile.curve import Curve
from forgediag.sources import nvml_library
from forgediag.sources.hardware import nvidia_present
from forgediag.sources.nvml import Card, parse_cuda
from forgediag.sources.nvml_gaps import DriverGoneError, driver_gap
from forgediag.sources.nvml_library import Driver, Library, RefusedError
from forgediag.sources.peaks import Peaks

MOVED = 16 * 1024 * 1024
"""Bytes of change that count as movement. A desktop's own comings and goings are smaller than torch's segments."""

SETTLE = 2.0
"""Seconds a card is still sampled fast after its memory moved."""

HUNG = 0.5
"""Seconds after which a call counts as hung. The slowest periodic call seen on an H100 took 4.3 ms."""

HUNG_INIT = 10.0
"""The same for `nvmlInit`, which takes a second and more per card where no persistence daemon runs."""

FAST_CALLS = 1000
"""Memory reads per second over all cards at most, so that 64 busy cards do not cost a core."""

BEAT = 1.0
"""Seconds between two readings of utilization, temperature, power and SM clock."""

RARE, PROCESSES_IDLE, PROCESSES_BUSY = 10, 10, 2
"""Every how many beats memory clock and throttle reasons are read, and processes at idle and in a job."""

SLICE = 0.05
"""Seconds spent on one go of slow readings at most before looking whether a job has started."""

RETRY, RETRY_MISSING, RETRY_FAILING = 5.0, 60.0, 30.0
"""Seconds until NVML is initialised again: the driver has gone; there never was one; a GPU fails and no job runs."""

UNREAD = Gap("NVML is not read yet", "starting")


class Sampler:
    """Samples NVML in a thread of its own. `snapshot`, `stuck` and `lag` are cheap, block for nothing, from any thread.

    At idle a GPU costs at most 6 NVML calls a second: memory, utilization, temperature, power and SM clock, and every
    10 s memory clock, throttle reasons, performance state and the process list. While a job runs, and for 2 s after
    memory moved, only the memory is read `busy_hz` times a second; the rest is done in between, a slice at a time.
    """

    def __init__(
        self,
        library: Callable[[], Library] = nvml_library.load,
        *,
        idle_hz: float = 1.0,
        busy_hz: float = 100.0,
        windows: Sequence[int] = (15, 60, 300),
        clock: Callable[[], float] = time.perf_counter,
        hardware: Callable[[], bool] = nvidia_present,
    ) -> None:
        """Prepare; nothing is loaded or called before `start`.

        Args:
            library: gives the library; called in the thread, again after each failure.
            idle_hz: memory and telemetry readings per second while nothing happens.
            busy_hz: memory readings per second while a job runs or memory moves.
            windows: seconds of the peak windows.
            clock: monotonic seconds.
            hardware: whether an NVIDIA card seems to be here; asked when the library cannot be used.
        """
        self._library, self._clock, self._hardware = library, clock, hardware
        self._idle, self._busy, self._beat = 1 / idle_hz, 1 / busy_hz, max(BEAT, 1 / idle_hz)
        self._windows, self._lock, self._wake = tuple(windows), threading.Lock(), threading.Lock()
        self._wake.acquire()
        self._thread = threading.Thread(target=self._run, name="nvml-sampler", daemon=True)
        self._stopping = self._job = self._worked = False
        self._job_gpus: frozenset[str] | None = None
        self._driver: Driver | None = None
        self._known: Known[tuple[str, tuple[int, int] | None]] = UNREAD
        self._cards: tuple[Card, ...] = ()
        self._peaks: dict[str, Peaks] = {}
        self._infos: dict[int, GpuInfo] = {}
        self._curves: dict[str, Curve] = {}
        self._chores: deque[Callable[[], object]] = deque()
        self._beats = self.samples = 0
        self._next_open = self._next_idle = self._next_beat = clock()
        self._next_fast: float | None = None
        self._due: float | None = None
        self._lag: float | None = None

    # -- from any thread -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread, waiting at most `timeout` seconds: one inside a hung call is left behind (it is a daemon)."""
        self._stopping = True
        self._nudge()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def job_running(self, running: bool, gpus: Collection[str] | None = None) -> None:  # noqa: FBT001 - a state
        """Say whether a job runs, and on which GPUs (UUIDs); None means any of them may be its."""
        self._job_gpus = None if gpus is None else frozenset(gpus)
        self._job = running
        self._nudge()

    def snapshot(self) -> Known[Nvml]:
        """Everything known now, or why nothing is: `hung` while a driver call does not come back."""
        if gap := self.stuck:
            return gap
        known, cards, now = self._known, self._cards, self._clock()
        if isinstance(known, Gap):
            return known
        with self._lock:
            return Nvml(*known, tuple(card.gpu(now) for card in cards))

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        """Memory used on a card between two moments of the sampler's clock, in bytes; empty where nothing was read."""
        with self._lock:
            known = self._curves.get(uuid)
            points = known.between(start, end) if known is not None else ()
        curve = Curve()
        for at, used in points:
            curve.add(at, used)
        return curve

    @property
    def stuck(self) -> Gap | None:
        """The gap that stands for everything while the driver hangs, None else."""
        if self._thread.ident is not None and not self._stopping and not self._thread.is_alive():
            return Gap("the NVML sampler has ended by a fault of its own: restart forgediag", "failed")
        driver = self._driver
        if driver is None or (waiting := driver.waiting()) is None:
            return None
        name, seconds = waiting
        limit = HUNG_INIT if name == "nvmlInit" and isinstance(self._known, Gap) else HUNG
        if seconds <= limit:
            return None
        return Gap(f"the NVIDIA driver hangs: {name} has not returned for {seconds:.1f} s", "hung")

    @property
    def lag(self) -> float | None:
        """Seconds by which the newest memory sample was late, or the next one is by now; None before the first."""
        due, lag = self._due, self._lag
        return None if due is None or lag is None else max(lag, self._clock() - due)

    @property
    def calls(self) -> int:
        """NVML calls made since the start."""
        return 0 if self._driver is None else self._driver.calls

    def _nudge(self) -> None:
        with suppress(RuntimeError):  # it is awake already; no lock is taken, so a signal handler may call this
            self._wake.release()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            pause = self.tick() - self._clock()
            if pause > 0:
                self._wake.acquire(timeout=pause)
        self._close()

    def tick(self) -> float:
        """Do what is due, and say when to be called next (on the sampler's clock). For the thread, and for tests."""
        now = self._clock()
        try:
            if isinstance(self._known, Gap):
                if now >= self._next_open:
                    self._open()
            else:
                self._sample(now)
        except DriverGoneError as gone:
            self._drop(gone.code)
        self._due = self._next(self._clock())
        return self._due

    def _open(self) -> None:
        self._close()
        try:
            self._driver = driver = Driver(self._library(), self._clock, self.calls)
            driver.named("nvmlInit")
            version = driver.named("nvmlSystemGetDriverVersion")
            cuda = driver.optional("nvmlSystemGetCudaDriverVersion")
            cards = tuple(Card(driver, index) for index in range(driver.named("nvmlDeviceGetCount")))
        except RefusedError as refused:
            self._drop(refused.code)
            return
        for card in cards:
            card.open()
            card.info = card.info if card.info.uuid else self._infos.get(card.index, card.info)
            self._infos[card.index] = card.info
            card.peaks = self._peaks.setdefault(card.info.uuid or f"GPU {card.index}", Peaks(self._windows))
        now = self._clock()
        self._worked, self._beats = True, 0
        self._cards, self._known = cards, (version, parse_cuda(cuda))
        self._chores.clear()
        self._next_idle = self._next_beat = now
        self._next_fast = None
        self._next_open = now + RETRY_FAILING
        self._sample(now)

    def _drop(self, code: int) -> None:
        gap = driver_gap(code, worked=self._worked, hardware=self._worked or self._hardware())
        self._known, self._cards = gap, ()
        self._chores.clear()
        self._next_open = self._clock() + (RETRY_MISSING if gap.expected else RETRY)

    def _close(self) -> None:
        if self._driver is not None:
            self._driver.optional("nvmlShutdown")

    def _sample(self, now: float) -> None:
        fast = [card for card in self._cards if self._is_fast(card, now)]
        if not fast:
            self._next_fast = None
        elif self._next_fast is None or now >= self._next_fast:
            due = now if self._next_fast is None else self._next_fast
            for card in fast:
                self._read(card, due)
            self._next_fast = _after(due, max(self._busy, len(fast) / FAST_CALLS), now)
        if not self._chores:
            self._plan(now)
        until = now + (self._busy / 2 if fast else SLICE)
        while self._chores:
            self._chores.popleft()()
            if self._clock() >= until:
                break

    def _plan(self, now: float) -> None:
        """Queue the slow readings that are due."""
        if now >= self._next_idle:
            due, self._next_idle = self._next_idle, _after(self._next_idle, self._idle, now)
            for card in self._cards:
                if not self._is_fast(card, now):
                    self._chores.append(partial(self._read, card, due))
        if now >= self._next_beat:
            self._next_beat = _after(self._next_beat, self._beat, now)
            for card in self._cards:
                if not card.lost:
                    self._chores.extend(self._telemetry(card, now))
            self._beats += 1
            if not self._job and now >= self._next_open and any(card.failing for card in self._cards):
                self._chores.append(self._open)

    def _telemetry(self, card: Card, now: float) -> Iterator[Callable[[], object]]:
        turn, first = self._beats + card.index, self._beats == 0
        if first or turn % RARE == 0:
            yield card.read_rare
        yield card.read_telemetry
        if first or turn % (PROCESSES_BUSY if self._is_fast(card, now) else PROCESSES_IDLE) == 0:
            yield card.read_processes

    def _read(self, card: Card, due: float) -> None:
        now = self._clock()
        self._lag = max(0.0, now - due)
        used = card.read_memory()
        self.samples += 1
        if used is None:
            return
        with self._lock:
            card.peaks.add(used, now)
            self._curves.setdefault(card.info.uuid, Curve()).add(now, used)
        if card.anchor is None:
            card.anchor = used
        elif abs(used - card.anchor) >= MOVED:
            card.anchor, card.fast_until = used, now + SETTLE

    def _is_fast(self, card: Card, now: float) -> bool:
        if card.lost:
            return False
        if self._job and (self._job_gpus is None or card.info.uuid in self._job_gpus):
            return True
        return now < card.fast_until

    def _next(self, now: float) -> float:
        if isinstance(self._known, Gap):
            return self._next_open
        due = min(self._next_idle, self._next_beat)
        if any(self._is_fast(card, now) for card in self._cards):
            fast = now if self._next_fast is None else self._next_fast
            return fast if self._chores else min(fast, due)
        return now if self._chores else due


def _after(due: float, period: float, now: float) -> float:
    """The next time on the same grid: what was missed is skipped."""
    return due + period * max(1, floor((now - due) / period) + 1)
