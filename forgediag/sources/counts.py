"""What is counted for one Forge over time: jobs, option changes, request durations, the memory setting in effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set

from forgediag.forge.secret import told
from forgediag.model import (
    MB,
    Cause,
    CudaMemory,
    Flags,
    Gap,
    Job,
    Known,
    OptionChange,
    Options,
    Outcome,
    PhaseName,
    PhaseTally,
    Progress,
    Tally,
    TorchMemory,
)
from forgediag.profile.pace import Pace
from forgediag.profile.progress import Ended, JobTracker
from forgediag.sources.meter import JOB_BOUNDS, PEAK_BOUNDS, PHASE_BOUNDS, REQUEST_BOUNDS, Histogram

STATE_OPTIONS = frozenset({"sd_checkpoint_hash"})
"""Options that Forge writes itself after a load: no one's change."""

PAGE_OPTIONS = frozenset(
    {"forge_inference_memory", "forge_async_loading", "forge_pin_shared_memory", "forge_unet_storage_dtype"}
)
"""Options that the web page writes when it is opened (observed with Forge dfdcbab)."""

START_INFERENCE_MEMORY = 1024 * MB
"""What a started Forge really works with until another value is set, whatever GET says (Forge dfdcbab, measured)."""


class TargetCounts:
    """Counts one Forge's answers. Feed it every answer in order of time (`at`: monotonic seconds)."""

    def __init__(self, endpoints: Iterable[str], target: str = "forge") -> None:
        self._target = target
        self._vram = 0
        self._jobs = JobTracker()
        self._outcomes: Counter[Outcome] = Counter()
        self._job_seconds = Histogram(JOB_BOUNDS)
        self._requests = {name: Histogram(REQUEST_BOUNDS) for name in endpoints}
        self._options: Options | None = None
        self._option_changes = 0
        self._effective: int | None = None
        self._restarted = False
        self._ooms = 0
        self._api_only = False
        self._phases: dict[PhaseName, tuple[Histogram, Histogram]] = {}
        self._last_job: Job | None = None
        self._swapped: int | None = None
        self._growth: tuple[int | None, int | None] = (None, None)
        self._pace = Pace()
        self._page_reset: dict[str, tuple[object, object]] = {}

    @property
    def job_running(self) -> bool:
        """Whether a generation was under way at the last progress answer."""
        return self._jobs.running

    def request(self, endpoint: str, seconds: float) -> None:
        """Note an answered request."""
        self._requests[endpoint].add(seconds)

    def progress(self, progress: Known[Progress], at: float) -> list[Ended]:
        """Follow jobs, and hand over those that ended; a Forge that refuses connections will come back restarted."""
        if isinstance(progress, Gap) and progress.kind == "refused" and self._options is not None:
            self._restarted, self._effective = True, None
        ended = self._jobs.feed(progress, at, self._ooms)
        for job in ended:
            self._pace.ended(job.outcome)
            self._outcomes[job.outcome] += 1
            if job.seconds is not None:
                self._job_seconds.add(job.seconds)
        self._pace.feed(progress, at)
        return ended

    def job(self, job: Job) -> None:
        """Note what a finished job's phases took."""
        for phase in job.phases:
            seconds, peak = self._phases.setdefault(phase.name, (Histogram(PHASE_BOUNDS), Histogram(PEAK_BOUNDS)))
            seconds.add(phase.seconds)
            if phase.device_peak is not None:
                peak.add(phase.device_peak)
        self._swapped = max((phase.swapped for phase in job.phases if phase.swapped is not None), default=None)
        before, self._last_job = self._last_job, job
        if before is not None:
            self._growth = (
                _difference(before.device_end, job.device_end),
                _difference(before.resident_end, job.resident_end),
            )

    def memory(self, memory: Known[TorchMemory]) -> None:
        """Note torch's out-of-memory counter, which tells how a job ended."""
        if isinstance(memory, TorchMemory) and isinstance(memory.cuda, CudaMemory):
            self._ooms, self._vram = memory.cuda.ooms, memory.cuda.total

    def flags(self, flags: Known[Flags]) -> None:
        """Note whether there is a web page: opening it sets the memory options anew, in an order no one can foresee."""
        self._api_only = isinstance(flags, Flags) and flags.on("nowebui")

    def options(self, options: Known[Options], at: float = 0.0) -> tuple[OptionChange, ...]:
        """The options that changed, at `at` (Unix seconds).

        Follows the inference memory in effect too: a start resets it, a change takes effect.
        """
        if isinstance(options, Gap) or options.broken:  # a broken answer lacks the options that were never set
            return ()
        before, self._options = self._options, options
        if before is None:
            return ()
        keys = (before.values.keys() | options.values.keys()) - STATE_OPTIONS
        changed = {key for key in keys if before.values.get(key) != options.values.get(key)}
        self._option_changes += len(changed)
        cause = self._cause(options, changed)
        self._page(before, options, changed if cause == "page" else frozenset())
        if self._restarted:
            self._restarted, self._effective = False, START_INFERENCE_MEMORY
        elif "forge_inference_memory" in changed and options.inference_memory_mb is not None:
            self._effective = int(options.inference_memory_mb * MB)
        return tuple(
            OptionChange(
                at, self._target, key, told(key, before.values.get(key)), told(key, options.values.get(key)), cause
            )
            for key in sorted(changed)
        )

    def _cause(self, options: Options, changed: Set[str]) -> Cause:
        """How options came to change, as far as the values tell.

        Opening the web page sets the inference memory to the card's total less a preset's GPU weights, or to 1024
        (observed); what this program wrote itself the history knows.
        """
        if self._restarted:
            return "restart"
        inference = options.inference_memory_mb
        if self._api_only or inference is None or "forge_inference_memory" not in changed:
            return "other"
        presets = [options.number(f"{preset}_GPU_MB") for preset in ("sd", "xl", "flux")]
        set_by_page = {self._vram // MB - weights for weights in presets if weights is not None} | {1024.0}
        return "page" if inference in set_by_page and changed <= PAGE_OPTIONS else "other"

    def _page(self, before: Options, after: Options, changed: Set[str]) -> None:
        """Note what an opened page changed; a value that is set again later counts no more."""
        kept = {key: both for key, both in self._page_reset.items() if after.values.get(key) == both[1]}
        now = {key: (kept.get(key, (before.values.get(key),))[0], after.values.get(key)) for key in sorted(changed)}
        self._page_reset = {**kept, **now}

    def read(self) -> Tally:
        """The counts so far."""
        return Tally(
            option_changes=self._option_changes,
            jobs=dict(self._outcomes),
            job_seconds=self._job_seconds.read(),
            requests={name: histogram.read() for name, histogram in self._requests.items()},
            effective_inference_memory=self._effective if self._api_only else None,
            phases={name: PhaseTally(seconds.read(), peak.read()) for name, (seconds, peak) in self._phases.items()},
            swapped=self._swapped,
            growth=self._growth,
            waited=self._pace.waited,
            usual_wait=self._pace.usual,
            page_reset=dict(self._page_reset),
        )


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
