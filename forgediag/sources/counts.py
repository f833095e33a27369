"""What is counted for one Forge over time: jobs, option changes, request durations, the memory setting in effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from forgediag.model import MB, CudaMemory, Flags, Gap, Known, Options, Outcome, Progress, Tally, TorchMemory
from forgediag.profile import JobTracker
from forgediag.sources.meter import JOB_BOUNDS, REQUEST_BOUNDS, Histogram

STATE_OPTIONS = frozenset({"sd_checkpoint_hash"})
"""Options that Forge writes itself after a load: no one's change."""

START_INFERENCE_MEMORY = 1024 * MB
"""What a started Forge really works with until another value is set, whatever GET says (Forge dfdcbab, measured)."""


class TargetCounts:
    """Counts one Forge's answers. Feed it every answer in order of time (`at`: monotonic seconds)."""

    def __init__(self, endpoints: Iterable[str]) -> None:
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

    @property
    def job_running(self) -> bool:
        """Whether a generation was under way at the last progress answer."""
        return self._jobs.running

    def request(self, endpoint: str, seconds: float) -> None:
        """Note an answered request."""
        self._requests[endpoint].add(seconds)

    def progress(self, progress: Known[Progress], at: float) -> None:
        """Follow jobs; a Forge that refuses connections will come back restarted."""
        if isinstance(progress, Gap) and progress.kind == "refused" and self._options is not None:
            self._restarted, self._options, self._effective = True, None, None
        for job in self._jobs.feed(progress, at, self._ooms):
            self._outcomes[job.outcome] += 1
            if job.seconds is not None:
                self._job_seconds.add(job.seconds)

    def memory(self, memory: Known[TorchMemory]) -> None:
        """Note torch's out-of-memory counter, which tells how a job ended."""
        if isinstance(memory, TorchMemory) and isinstance(memory.cuda, CudaMemory):
            self._ooms = memory.cuda.ooms

    def flags(self, flags: Known[Flags]) -> None:
        """Note whether there is a web page: opening it sets the memory options anew, in an order no one can foresee."""
        self._api_only = isinstance(flags, Flags) and flags.on("nowebui")

    def options(self, options: Known[Options]) -> None:
        """Count changed options and follow the inference memory in effect: a start resets it, a change takes effect."""
        if isinstance(options, Gap) or options.broken:  # a broken answer lacks the options that were never set
            return
        before, self._options = self._options, options
        if self._restarted:
            self._restarted, self._effective = False, START_INFERENCE_MEMORY
        elif before is not None:
            keys = (before.values.keys() | options.values.keys()) - STATE_OPTIONS
            changed = {key for key in keys if before.values.get(key) != options.values.get(key)}
            self._option_changes += len(changed)
            if "forge_inference_memory" in changed and options.inference_memory_mb is not None:
                self._effective = int(options.inference_memory_mb * MB)

    def read(self) -> Tally:
        """The counts so far."""
        return Tally(
            option_changes=self._option_changes,
            jobs=dict(self._outcomes),
            job_seconds=self._job_seconds.read(),
            requests={name: histogram.read() for name, histogram in self._requests.items()},
            effective_inference_memory=self._effective if self._api_only else None,
        )
