"""What is remembered of one Forge while it works, until a generation ends and becomes a job."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forgediag.forge.log import BarMoved, LoadBegan, Loaded, Seen, Unloaded
from forgediag.model import Gap, Job, Known, Progress
from forgediag.profile.curve import Curve
from forgediag.profile.job import Recording, finished
from forgediag.profile.ledger import Context, Weights
from forgediag.profile.progress import Ended

KEPT = 10_000
"""Console events and progress answers kept of one job; a long one of 150 steps has some 400 of each."""

EARLY = 2.0
"""Seconds of console before an answer that said idle which are kept: that answer may have been a little old."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What else is known of a job when it ends: names and settings, never a prompt or a picture."""

    model: str | None = None
    family: str | None = None
    settings: Mapping[str, str | float] = field(default_factory=dict[str, str | float])
    vae_bytes: int = 2


class Recorder:
    """Follows one Forge. Feed it in order of time; all times are seconds of one clock."""

    def __init__(self, target: str, wall: float) -> None:
        """Begin.

        Args:
            target: the Forge's name.
            wall: what added to the clock gives Unix seconds.
        """
        self._target, self._wall = target, wall
        self._events: deque[Seen] = deque(maxlen=KEPT)
        self._progress: deque[tuple[float, Progress]] = deque(maxlen=KEPT)
        self._last_end = float("-inf")
        self.resident = Curve(limit=8_000)
        self.weights = Weights()
        self._placed: Mapping[str, int] = {}
        self.context = Context()

    def console(self, events: Iterable[Seen]) -> bool:
        """Take what the console told; whether it shows work."""
        working = False
        for seen in events:
            self.weights.feed(seen.event)
            self._events.append(seen)
            working = working or isinstance(seen.event, LoadBegan | Loaded | Unloaded | BarMoved)
        return working

    def progress(self, progress: Known[Progress], at: float) -> None:
        """Take a progress answer. One that says idle lets go of what the console told before it.

        A Forge that is starved may not answer for many seconds of a job; all it printed meanwhile is kept.
        """
        if isinstance(progress, Gap):
            return
        if progress.running:
            self._progress.append((at, progress))
            return
        while self._events and self._events[0].at < at - EARLY:
            self._events.popleft()

    def end(self, ended: Ended, at: float, device: Curve, facts: Facts) -> Job:
        """The job that ended.

        Args:
            ended: what progress told of its end.
            at: when that was noticed.
            device: memory used on the card.
            facts: what else is known.
        """
        begins = [
            seen.began for seen in self._events if isinstance(seen.event, LoadBegan | Loaded | Unloaded | BarMoved)
        ]
        started = at - (ended.seconds or 0.0)
        started = max(self._last_end, min([started, *(began for began in begins if began > self._last_end)]))
        job = finished(
            Recording(
                self._target,
                started,
                at,
                ended.outcome,
                self._wall,
                [seen for seen in self._events if seen.at > self._last_end],
                tuple(self._progress),
                device,
                self.resident,
                facts.model,
                facts.family,
                facts.settings,
                self._placed,
                facts.vae_bytes,
            )
        )
        self._events.clear()
        self._progress.clear()
        self._placed = dict(self.weights.placed)
        self._last_end = at
        return job
