"""A day in virtual time: a job every 30 s through recorder, counts, history and exposition. Does memory stay flat?

    python tests/bench/day.py [HOURS]

Nothing waits: clocks are counted up. Prints resident memory by the hour, rows and bytes of the history, and what its
retention (six hours here) let go.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import deque
from dataclasses import replace
from pathlib import Path

from forgediag.forge.log import LogReader
from forgediag.history import Chronicle, History, HistoryWriter, Limits
from forgediag.model import MB, Job, Progress
from forgediag.profile.curve import Curve
from forgediag.profile.recorder import Facts, Recorder
from forgediag.profile.trends import growing, slower
from forgediag.sources.counts import TargetCounts
from forgediag.testing.reports import report, with_target
from forgediag_exporters.prometheus import PROMETHEUS

START = 1_700_000_000.0
ROOM = "[Unload] Trying to free 1024.00 MB for cuda:0 with 0 models keep loaded ... Done.\n"
PLACED = (
    "[Memory Management] Target: KModel, Free GPU: 9000.00 MB, Model Require: 4897.00 MB, Previously Loaded: 0.00 MB, "
    "Inference Require: 1024.00 MB, Remaining: 3079.00 MB, All loaded to GPU.\n"
    "Moving model(s) has taken 0.50 seconds\n"
)


def rss() -> float:
    """Resident MiB of this process."""
    return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def progress(second: int) -> Progress:
    """A job in the first 20 of every 30 seconds, a step each second."""
    at, number = second % 30, second // 30
    running = at < 20
    job, count = ("txt2img", 1) if running else ("", 0)
    return Progress(job, count, 0 if running else 1, f"job{number}", min(at, 20), 20, 0.0, interrupted=False)


def console(at: int) -> str:
    """What Forge prints in each second of 30."""
    return (ROOM, PLACED)[at] if at < 2 else f" {at}/20 [00:{at:02d}<00:01,  1.00s/it]\r" if at <= 20 else ""


def main() -> None:
    """Run and print one JSON line an hour."""
    hours = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as name:
        now = [START]
        writer = HistoryWriter(Path(name), Limits(days=0.25), wall=lambda: now[0])
        chronicle, counts, recorder, reader = (
            Chronicle(writer.add),
            TargetCounts(()),
            Recorder("forge", 0.0),
            LogReader(),
        )
        device, jobs = Curve(), deque[Job](maxlen=50)
        for second in range(hours * 3600):
            now[0] = at = START + second
            device.add(at, (6000 + 300 * (second % 7)) * MB)
            recorder.resident.add(at, 7000 * MB + second % 3 * MB)
            recorder.console(reader.feed(console(second % 30), at))
            answer = progress(second)
            for ended in counts.progress(answer, at):
                jobs.append(recorder.end(ended, at, device, Facts("a", "sdxl")))
                counts.job(jobs[-1])
                writer.add(jobs[-1])
            recorder.progress(answer, at)
            given = with_target(report(seconds=float(second % 600), start=at - second % 600), jobs=tuple(jobs))
            given = replace(given, snapshot=replace(given.snapshot, at=at, tallies={"forge": counts.read()}))
            chronicle.follow(given)
            if second % 15 == 0:
                PROMETHEUS[0].render(given)
                growing(tuple(jobs)), slower(tuple(jobs))
                writer.flush()
            if second % 3600 == 3599:
                print(json.dumps({"hour": second // 3600 + 1, "rss_mib": round(rss(), 1)}), flush=True)
        history = History(Path(name))
        kept = history.jobs(limit=10**6)
        oldest = round((now[0] - kept[-1].started) / 3600, 2)
        size = round(history.size() / 2**20, 2)
        print(json.dumps({"jobs_kept": len(kept), "oldest_hours": oldest, "mib": size, "done": counts.read().jobs}))


if __name__ == "__main__":
    main()
