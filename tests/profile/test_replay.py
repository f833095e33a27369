"""Recorded memory curves of a real card, with the lines Forge printed, read back as jobs with their phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgediag.model import MB, GpuMemory, Job
from forgediag.profile.job import Recording, finished
from forgediag.profile.ledger import Holdings, Weights, ledger
from forgediag.testing.recorded import TOTAL_MB, RecordedRun, recorded_runs

RUNS = recorded_runs(Path(__file__).parents[1] / "golden" / "curves.json")
"""61 runs of Forge's backend on an H100."""

TRACED = [name for name, run in RUNS.items() if run.allocated]


def job(run: RecordedRun) -> Job:
    start, end = run.phases[0].start, run.phases[-1].end
    return finished(Recording("forge", start, end, "done", 0.0, run.events(), device=run.device(), vae_bytes=2))


@pytest.mark.parametrize("name", RUNS)
def test_every_phase_is_found_within_50_ms(name: str) -> None:
    phases, known = job(RUNS[name]).phases, RUNS[name].phases

    assert [phase.name for phase in phases] == [true.name for true in known]
    assert all(abs(phase.start - true.start) <= 0.05 for phase, true in zip(phases, known, strict=True))


@pytest.mark.parametrize("name", RUNS)
def test_peaks_of_the_card_are_those_recorded(name: str) -> None:
    for phase in job(RUNS[name]).phases:
        recorded = RUNS[name].peak(phase.start + 0.02, phase.end)
        assert (phase.device_peak or 0) / MB == pytest.approx(recorded, rel=0.01)


@pytest.mark.parametrize("name", RUNS)
def test_the_peak_of_torch_is_inferred_within_5_percent(name: str) -> None:
    run = RUNS[name]

    for phase, true in zip(job(run).phases, run.phases, strict=True):
        if true.end - true.start >= 0.1 and run.settles(true.start):
            assert (phase.device_peak or 0) / MB - run.others - run.base == pytest.approx(true.reserved, rel=0.05)


def test_few_phases_begin_while_memory_is_let_go() -> None:
    begins = [(run, true.start) for run in RUNS.values() for true in run.phases]

    assert sum(not run.settles(start) for run, start in begins) <= 16 < 0.07 * len(begins)


def test_the_size_of_the_picture_is_known_where_the_inference_memory_does_not_hide_it() -> None:
    known = {name: job(run).pixels for name, run in RUNS.items()}
    found = {name: pixels for name, pixels in known.items() if pixels is not None}

    assert len(found) > 30
    for name, pixels in found.items():
        width, height = RUNS[name].size
        assert pixels / (width * height) == pytest.approx(round(pixels / (width * height)), rel=0.01)


@pytest.mark.parametrize("name", TRACED)
def test_the_ledger_agrees_with_torchs_own_trace(name: str) -> None:
    run = RUNS[name]
    curve, weights, ahead = run.device(), Weights(), run.events()

    for phase in {phase.start: phase for phase in job(run).phases if phase.name == "sample"}.values():
        moment = (phase.start + phase.end) / 2
        while ahead and ahead[0].at <= moment:
            weights.feed(ahead.pop(0).event)
        used = curve.at(moment) or 0
        memory = GpuMemory(TOTAL_MB * MB, used, TOTAL_MB * MB - used, None)
        held = int(used - run.others * MB)
        made = ledger(Holdings(moment, memory, held, None, int(run.base * MB), dict(weights.placed)))
        size = {part.name: part.size / MB for part in made.parts if part.name != "weights"}
        placed = sum(part.size for part in made.parts if part.name == "weights") / MB
        allocated = [value for at, value in run.allocated if phase.start <= at <= phase.end]

        assert sum(part.size for part in made.parts) == made.total
        assert placed <= max(allocated) * 1.03
        assert placed + size.get("cache", 0.0) >= min(allocated)
        assert size.get("unexplained", 0.0) == 0
