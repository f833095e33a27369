"""How long a generation stands still between two signs of life, and how long it usually does."""

from __future__ import annotations

from collections import deque

from forgediag.model import Gap, Known, Outcome, Progress

REMEMBERED = 20
"""Jobs whose longest standstill counts as usual."""


class Pace:
    """One Forge's pace, learnt from its own jobs. Feed it every progress answer in order of time.

    A sign of life is any change of job, iteration or step. The longest wait of a job is nearly always its model's load.
    """

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=REMEMBERED)
        self._mark: tuple[object, ...] | None = None
        self._moved = 0.0
        self._longest = 0.0
        self.waited: float | None = None

    @property
    def usual(self) -> float | None:
        """The longest wait of the last jobs that ended well, in seconds; None before the first."""
        return max(self._usual, default=None)

    def feed(self, progress: Known[Progress], at: float) -> None:
        """Take an answer of `at`, in monotonic seconds. A Forge that does not answer is no standstill."""
        if isinstance(progress, Gap) or not progress.running:
            self._mark = self.waited = None
            return
        mark = (progress.job_timestamp, progress.job_count, progress.job_no, progress.step)
        if mark != self._mark:
            if self._mark is None:
                self._longest = 0.0
            self._mark, self._moved = mark, at
        self.waited = at - self._moved
        self._longest = max(self._longest, self.waited)

    def ended(self, outcome: Outcome) -> None:
        """A job ended: one that ended well tells what is usual."""
        if outcome == "done":
            self._usual.append(self._longest)
        self._longest = 0.0
