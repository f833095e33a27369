"""Generations recorded on a real card, read back: memory over time, the limits of phases, what Forge printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from forgediag.forge.log import BarMoved, LogReader, Seen
from forgediag.model import MB
from forgediag.profile.curve import Curve
from forgediag.testing.forge.job import State
from forgediag.testing.forge.server import SimulatedForge

TOTAL_MB = 81_559
"""What NVML calls the total of the card that was recorded: an H100 with 80 GB."""

LEAD = 0.3
"""Seconds a played run has begun before its first phase; the card rests meanwhile."""

_NAMES = {"text_encode": "text_encode", "load_unet": "unet_load", "sample": "sample", "vae_decode": "vae_decode"}
_SHORT = 0.02
"""Seconds a phase must last to be looked for: two samples at 100 Hz."""


@dataclass(frozen=True, slots=True)
class TruePhase:
    """A phase as Forge itself went through it: seconds, and the most torch had reserved, in MB."""

    name: str
    start: float
    end: float
    reserved: float


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run of Forge's backend. Seconds from the recording's start, MB (2^20 bytes).

    `used` is the card's memory with the `others` MB of another process, each value until the next; `allocated` is
    torch's own trace, empty where there is none; `size` the picture's width and height.
    """

    others: float
    size: tuple[int, int]
    phases: tuple[TruePhase, ...]
    used: tuple[tuple[float, float], ...]
    log: tuple[tuple[float, str], ...]
    allocated: tuple[tuple[float, float], ...] = ()

    def events(self) -> list[Seen]:
        """What the console tells, each piece at the time it was printed."""
        reader = LogReader()
        return [seen for at, line in self.log for seen in reader.feed(line + "\n", at)]

    def device(self) -> Curve:
        """Bytes used on the card."""
        curve = Curve()
        for at, used in self.used:
            curve.add(at, int(used * MB))
        return curve

    def peak(self, start: float, end: float) -> float:
        """The most MB used on the card between two moments, what held at the start included."""
        before = [used for at, used in self.used if at <= start]
        return max([*before[-1:], *(used for at, used in self.used if start < at < end)])

    @property
    def base(self) -> float:
        """MB that the process held beside torch's segments: the median of what both readings of a phase give."""
        return (
            median(self.peak(phase.start + _SHORT, phase.end) - phase.reserved for phase in self.phases) - self.others
        )

    def settles(self, start: float) -> bool:
        """Whether no memory is let go within a sample of a phase's beginning: that belongs to either phase."""
        curve = self.device()
        before, after = curve.at(start - 0.01) or 0, curve.at(start + 0.03) or 0
        own = max(1, min(before, after) - self.others * MB)
        return before - after < 0.05 * own

    @property
    def begins(self) -> float:
        """When a played run begins: a little before its first phase."""
        return self.phases[0].start - LEAD

    @property
    def played(self) -> tuple[tuple[float, float], ...]:
        """The memory used in a played run: what is before its first phase is the recording's set-up, so it rests."""
        ready = self.phases[0].start + _SHORT / 4
        rest = [used for at, used in self.used if at <= ready][-1]
        return ((self.begins, rest), *((at, used) for at, used in self.used if at > ready))

    @property
    def seconds(self) -> float:
        """How long a played run takes."""
        return self.phases[-1].end - self.begins


def recorded_runs(path: Path) -> dict[str, RecordedRun]:
    """The runs in a file, by name.

    Args:
        path: JSON: by name an object of `others`, `size`, `phases` (name, start, end in ms, torch's reserved peak),
            `used` and perhaps `allocated` (flat: ms, MB, ms, MB, ...), `log` (ms, line).
    """
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return {name: _run(run) for name, run in found.items()}


def _run(run: Mapping[str, Any]) -> RecordedRun:
    phases = [
        TruePhase(_NAMES[name], start / 1000, end / 1000, float(reserved))
        for title, start, end, reserved in run["phases"]
        if (name := title.split("#")[0]) in _NAMES and (end - start) / 1000 > _SHORT
    ]
    width, height = run["size"]
    return RecordedRun(
        run["others"],
        (width, height),
        tuple(phases),
        _pairs(run["used"]),
        tuple((at / 1000, line) for at, line in run["log"]),
        _pairs(run.get("allocated", [])),
    )


def _pairs(flat: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple((at / 1000, value) for at, value in zip(flat[::2], flat[1::2], strict=True))


async def play(run: RecordedRun, forge: SimulatedForge) -> None:
    """Let a simulated Forge go through a run: progress counts, torch answers and the console tells what they did.

    Where the Forge's `Setup.log` names a file, that gets the lines.
    """
    clock, zero = forge.clock, forge.clock.now() - run.begins
    state = forge.engine.state = State("scripts_txt2img", -1, 0, f"{int(clock.now() * 1000)}", started=clock.now())
    for at, line in _moments(run):
        await clock.sleep(max(0.0, zero + at - clock.now()))
        hold(run, forge, at)
        if line is None:
            continue
        forge.say(line)
        state.job_count = 1
        for seen in LogReader().feed(line + "\n", at):
            if isinstance(seen.event, BarMoved):
                state.sampling_step, state.sampling_steps = seen.event.step, seen.event.steps
    state.job, state.job_count, state.job_no, state.sampling_step = "", 0, 1, 0


def _moments(run: RecordedRun) -> list[tuple[float, str | None]]:
    """Moments of a run in order, to the end of its last phase: lines, and (None) changes of memory."""
    end = run.phases[-1].end
    changes: list[tuple[float, str | None]] = [
        (at, None) for at, _ in (*run.played, *run.allocated, (end, 0.0)) if run.begins <= at <= end
    ]
    return sorted([*changes, *run.log], key=lambda moment: moment[0])


def hold(run: RecordedRun, forge: SimulatedForge, at: float) -> None:
    """Let torch hold what it held at a moment: by its own trace, else all that it had reserved."""
    used = [value for moment, value in run.played if moment <= at][-1]
    reserved = max(0, int((used - run.others - run.base) * MB))
    traced = [value for moment, value in run.allocated if moment <= at][-1:]
    forge.torch.reserved = reserved
    forge.torch.allocated = min(reserved, int(traced[0] * MB)) if traced else reserved
