"""Runs recorded on a real card, played through a fake driver and a simulated Forge while `forgediag profile` watches.

    python tests/bench/replay.py [NAME ...] [--keep FOLDER]

Every run (61 where none is named) takes as long as it took, and is watched from outside by a process of its own: memory
through the real pynvml over a fake NVML that plays the recorded curve, progress over HTTP, the console from a file that
gets every line at its time. One JSON line a run, then the worst; exit status 1 when a run is not told as it was: phases
in order, their limits within 50 ms (the last one's end, which only progress tells, is shown), peaks of the card within
1 %, torch's inferred ones within 5 %, ledgers that add up with at most 3 % unexplained. Needs gcc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fake_nvml"))

from build import build
from control import FakeNvml

from forgediag.model import MB, Ledger, Phase
from forgediag.recording.document import Recorded, from_json, to_json
from forgediag.testing.forge import ForgeThread, Setup
from forgediag.testing.recorded import TOTAL_MB, RecordedRun, TruePhase, hold, play, recorded_runs

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "curves.json"
LATE, CARD, TORCH, UNEXPLAINED = 0.05, 0.01, 0.05, 0.03
"""Limits: seconds of a phase's beginning; shares of the card's peaks, of torch's, and of the card in the ledger."""

SAMPLE = 0.01
"""Seconds between two samples of the recording: what it saw one after a phase's end may have been before it."""

LOOKED = 2
"""Answers of progress after which the watching process has seen an idle Forge."""


@dataclass
class Told:
    """How far what was told is from what was recorded. Seconds, and shares of the recorded value; the worst each."""

    name: str
    seconds: float
    phases: int
    in_order: bool
    start: float = 0.0
    end: float = 0.0
    last_end: float = 0.0
    card: float = 0.0
    torch: float = 0.0
    judged: int = 0
    ledgers: int = 0
    sums: bool = True
    unexplained: float = 0.0
    others: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it is within all limits."""
        near = max(self.start, self.end) <= LATE and self.card <= CARD and self.torch <= TORCH
        return self.in_order and near and self.sums and self.unexplained <= UNEXPLAINED and self.told_what_held

    @property
    def told_what_held(self) -> bool:
        """Whether there is a ledger: one is made each second, so that a shorter job may have none."""
        return self.ledgers > 0 or self.seconds < 1.2


def card(run: RecordedRun, pid: int) -> str:
    """The state of the fake driver: the curve from a little before the first phase on; what Forge's process holds."""
    lines = ["gpu.0.name = NVIDIA H100 80GB HBM3", f"gpu.0.total = {TOTAL_MB}M", "gpu.0.reserved = 0"]
    lines += [f"gpu.0.used = {run.played[0][1]}M", f"gpu.0.proc.{pid} = rest"]
    lines += [f"gpu.0.proc.1 = {run.others}M"] if run.others else []
    lines += [f"@{at - run.begins:.4f} gpu.0.used = {used}M" for at, used in run.played[1:]]
    return "\n".join(lines) + "\n"


def record(run: RecordedRun, library: Path, folder: Path) -> tuple[Recorded, float]:
    """What `forgediag profile` tells of a run, and the Unix second at which its time 0 was."""
    console, fake = folder / "forge.log", FakeNvml(library, folder, card(run, os.getpid()))
    console.touch()
    fake.freeze(0.0)
    setup = Setup(log=str(console), vram_mb=TOTAL_MB, config={"forge_inference_memory": 1024})
    with ForgeThread(setup) as forge:
        forge.call(lambda running: hold(run, running, run.begins))
        environment = {**os.environ, **fake.environment, "XDG_CACHE_HOME": str(folder)}
        program = str(Path(sys.executable).with_name("forgediag"))
        command = [program, "--forge", forge.url, "--log", str(console), "profile", "--jobs", "1", "--json"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            while forge.call(lambda running: running.requests.count("GET /sdapi/v1/progress")) < LOOKED:
                time.sleep(0.05)
            fake.restart_clock()
            fake.freeze(None)
            zero = time.time() - run.begins
            forge.wait(lambda running: play(run, running))
            out, _ = child.communicate(timeout=30)
    return from_json(out.decode()), zero


def judge(name: str, run: RecordedRun, told: Recorded, zero: float) -> Told:
    """Compare what was told with what was recorded."""
    (job,) = told.jobs
    in_order = [phase.name for phase in job.phases] == [phase.name for phase in run.phases]
    found = Told(name, round(run.seconds, 3), len(run.phases), in_order)
    if in_order:
        pairs = list(zip(job.phases, run.phases, strict=True))
        found.start = max(abs(phase.start - zero - true.start) for phase, true in pairs)
        found.end = max((abs(phase.end - zero - true.end) for phase, true in pairs[:-1]), default=0.0)
        found.last_end = abs(job.phases[-1].end - zero - run.phases[-1].end)
        judge_memory(found, run, pairs, told.ledgers)
    first, last = zero + run.begins, zero + run.phases[-1].end  # the card is given back after that
    judge_ledgers(found, run, [ledger for ledger in told.ledgers if first <= ledger.at <= last])
    return found


def judge_memory(
    found: Told, run: RecordedRun, pairs: list[tuple[Phase, TruePhase]], ledgers: tuple[Ledger, ...]
) -> None:
    """The peaks of the card, and torch's where a phase is long enough and does not begin while memory is let go.

    Limits of phases are as sharp as one sample, so torch's peak of a phase that ends while memory grows may miss what
    grew in the sample before its end and the one after it.
    """
    contexts = [part.size for ledger in ledgers for part in ledger.parts if part.name == "context"]
    for phase, true in pairs:
        if not run.settles(true.start):
            continue
        peaks = [run.peak(true.start + 0.02, true.end + late) for late in (0.0, SAMPLE)]
        found.card = max(found.card, min(abs((phase.device_peak or 0) / MB / peak - 1) for peak in peaks))
        if contexts and true.end - true.start >= 0.1:
            torch = ((phase.device_peak or 0) - contexts[-1]) / MB - run.others
            grew = peaks[1] - run.peak(true.start + 0.02, true.end - SAMPLE)
            found.torch = max(found.torch, max(0.0, abs(torch - true.reserved) - grew) / true.reserved)
            found.judged += 1


def judge_ledgers(found: Told, run: RecordedRun, ledgers: list[Ledger]) -> None:
    """Do the parts add up, how much is unexplained, how far are the others' from what they held."""
    found.ledgers = len(ledgers)
    for ledger in ledgers:
        size = {part.name: part.size for part in ledger.parts}
        found.sums = found.sums and sum(part.size for part in ledger.parts) == ledger.total
        found.unexplained = max(found.unexplained, size.get("unexplained", 0) / ledger.total)
        found.others = max(found.others, abs(size.get("others", 0) - run.others * MB) / ledger.total)


def rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Numbers with four decimals."""
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}


def main() -> int:
    """Play and judge the runs; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = recorded_runs(GOLDEN)
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs of tests/golden/curves.json; all by default")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where each recording is left as NAME.json")
    arguments = parser.parse_args()
    names: list[str] = arguments.names or list(runs)
    found: list[Told] = []
    with tempfile.TemporaryDirectory() as name:
        library = build(Path(name))
        for number, chosen in enumerate(names):
            folder = Path(name) / str(number)
            folder.mkdir()
            told, zero = record(runs[chosen], library, folder)
            if arguments.keep:
                (arguments.keep / f"{chosen}.json").write_text(to_json(told), "utf-8")
            found.append(judge(chosen, runs[chosen], told, zero))
            print(json.dumps({"good": found[-1].good, **rounded(vars(found[-1]))}), flush=True)
    measures = ("start", "end", "last_end", "card", "torch", "unexplained", "others")
    worst = rounded({key: max(getattr(told, key) for told in found) for key in measures})
    print(json.dumps({"runs": len(found), "good": sum(told.good for told in found), "worst": worst}))
    return 0 if all(told.good for told in found) else 1


if __name__ == "__main__":
    sys.exit(main())
