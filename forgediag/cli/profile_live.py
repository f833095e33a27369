"""What happens while it is recorded, on standard error."""

from __future__ import annotations

from typing import TextIO

from forgediag.model import Forge, Gap, GpuMemory, Progress, Target
from forgediag.recording.chart import GIB

BAR = 30


class Live:
    """One line that is written anew each second on a terminal; in a pipe, a line for each generation."""

    def __init__(self, out: TextIO, *, live: bool) -> None:
        """Begin.

        Args:
            out: where it is written.
            live: whether the line is wanted.
        """
        self._out = out
        self._live = live and out.isatty()
        self._told = 0
        self._width = 0

    def begin(self, jobs: int | None, seconds: float | None) -> None:
        """Say what is recorded."""
        until = " or ".join(
            [
                *([f"{jobs} generation{'' if jobs == 1 else 's'} ended"] if jobs is not None else []),
                *([f"{seconds:g} s have passed"] if seconds is not None else []),
            ]
        )
        self._line(f"recording until {until}; generate now, end with Ctrl-C")

    def show(self, target: Target) -> None:
        """Show a target as it is now."""
        for job in target.jobs[self._told :]:
            took = 0.0 if job.ended is None else job.ended - job.started
            self._line(f"generation {self._told + 1}: {job.outcome}, {took:.1f} s")
            self._told += 1
        if self._live:
            now = status(target)
            self._out.write("\r" + now.ljust(self._width))
            self._out.flush()
            self._width = len(now)

    def end(self) -> None:
        """Leave the line as it is."""
        if self._live and self._width:
            self._out.write("\n")

    def _line(self, said: str) -> None:
        if self._live and self._width:
            self._out.write("\r" + " " * self._width + "\r")
        self._out.write(said + "\n")
        self._out.flush()


def status(target: Target) -> str:
    """One line: what Forge does, and the card as a bar."""
    forge = target.forge
    if not isinstance(forge, Forge):
        doing = f"no Forge: {forge.reason}"
    elif not isinstance(forge.progress, Progress) or not forge.progress.running:
        doing = "idle"
    elif forge.progress.loading:
        doing = "loading"
    else:
        doing = f"step {forge.progress.step}/{forge.progress.steps}"
    if isinstance(target.gpu, Gap) or not isinstance(target.gpu.memory, GpuMemory):
        return doing
    memory = target.gpu.memory
    full = round(BAR * memory.used / memory.total)
    peak = max(target.gpu.peaks.values(), default=memory.used)
    return f"[{'#' * full}{'.' * (BAR - full)}] {memory.used / GIB:.2f} GiB, peak {peak / GIB:.2f}  {doing}"
