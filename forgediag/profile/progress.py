"""Generations seen from outside: progress answers in, finished jobs with their outcome out."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import Gap, Known, Outcome, Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished generation. `seconds` is None when it began and ended between two looks."""

    outcome: Outcome
    seconds: float | None


@dataclass(slots=True)
class _Running:
    started: float
    timestamp: str
    expected: int
    ooms: int


class JobTracker:
    """Follows one Forge's progress. Feed it every answer in order of time.

    What the answers tell (Forge dfdcbab, modules/shared_state.py and processing.py; seen on a real one): `begin` sets a
    new `job_timestamp` (to the second), `job_no` 0 and `job_count` -1; each finished iteration adds one to `job_no`;
    `end` clears `job` and `job_count` only. So an idle answer still says how the last job ended: `job_no` at
    `job_count` means done, less means it was interrupted (the flag stays) or failed.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._last_timestamp: str | None = None

    @property
    def running(self) -> bool:
        """Whether a generation was under way at the last answer."""
        return self._running is not None

    def feed(self, progress: Known[Progress], at: float, ooms: int = 0) -> list[Ended]:
        """The jobs that ended since the last answer.

        Args:
            progress: the answer, or why there was none.
            at: monotonic seconds of the answer.
            ooms: torch's out-of-memory counter as last read.
        """
        if isinstance(progress, Gap):
            return self._lost(progress, at)
        ended: list[Ended] = []
        running = self._running
        if running is not None and (not progress.running or progress.job_timestamp != running.timestamp):
            ended.append(Ended(_outcome(running, progress, ooms), at - running.started))
            self._running = None
        elif running is not None:
            running.expected = max(running.expected, progress.job_count)
        elif self._missed(progress):
            ended.append(Ended(_outcome(_Running(at, progress.job_timestamp, 1, ooms), progress, ooms), None))
        if progress.running and self._running is None:
            self._running = _Running(at, progress.job_timestamp, max(1, progress.job_count), ooms)
        self._last_timestamp = progress.job_timestamp
        return ended

    def _missed(self, progress: Progress) -> bool:
        return (
            not progress.running and self._last_timestamp is not None and progress.job_timestamp != self._last_timestamp
        )

    def _lost(self, gap: Gap, at: float) -> list[Ended]:
        """A Forge that went away in the middle of a job took the job with it; one that is only slow did not."""
        running = self._running
        if running is None or gap.kind != "refused":
            return []
        self._running, self._last_timestamp = None, None
        return [Ended("failed", at - running.started)]


def _outcome(running: _Running, after: Progress, ooms: int) -> Outcome:
    if ooms > running.ooms:
        return "oom"
    if after.job_timestamp != running.timestamp:  # the next job has already begun: how this one ended is not told
        return "unknown"
    if after.interrupted:
        return "interrupted"
    return "done" if after.job_no >= running.expected else "failed"
