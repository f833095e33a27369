"""Recorded memory curves of a real card, with the lines Forge printed, read back as jobs with their phases."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from forgediag.forge.log import LogReader, Seen
from forgediag.model import MB, GpuMemory, Job, Phase
from forgediag.profile.curve import Curve
from forgediag.profile.job import Recording, finished
from forgediag.profile.ledger import Holdings, Weights, ledger

Case = dict[str, Any]
CASES: dict[str, Case] = json.loads((Path(__file__).parents[1] / "golden" / "curves.json").read_text("utf-8"))
"""61 runs of Forge's backend on an H100: changes of memory in MB, limits of phases in ms, torch's reserved peak."""

NAMES = {"text_encode": "text_encode", "load_unet": "unet_load", "sample": "sample", "vae_decode": "vae_decode"}
TRACED = [name for name, case in CASES.items() if "allocated" in case]


def truth(case: Case) -> list[tuple[str, float, float, float]]:
    """(phase, start, end, reserved peak) of the phases that last longer than two samples."""
    named = [
        (NAMES.get(name.split("#")[0]), start / 1000, end / 1000, peak) for name, start, end, peak in case["phases"]
    ]
    return [(name, start, end, peak) for name, start, end, peak in named if name and end - start > 0.02]


def events(case: Case) -> list[Seen]:
    reader = LogReader()
    return [seen for at, line in case["log"] for seen in reader.feed(line + "\n", at / 1000)]


def pairs(flat: list[float]) -> list[tuple[float, float]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def device(case: Case) -> Curve:
    curve = Curve()
    for at, used in pairs(case["used"]):
        curve.add(at / 1000, int(used * MB))
    return curve


def job(case: Case) -> Job:
    known = truth(case)
    return finished(
        Recording("forge", known[0][1], known[-1][2], "done", 0.0, events(case), device=device(case), vae_bytes=2)
    )


def base(case: Case, phases: tuple[Phase, ...]) -> float:
    """MB beside torch's segments: the median of what both readings give, as the recorder takes it."""
    known = zip(phases, truth(case), strict=True)
    return median((phase.device_peak or 0) / MB - float(reserved) for phase, (*_, reserved) in known)


def settles(case: Case, start: float) -> bool:
    """Whether no memory is let go within a sample of a phase's beginning: that belongs to either phase."""
    curve = device(case)
    before, after = curve.at(start - 0.01) or 0, curve.at(start + 0.03) or 0
    own = max(1, min(before, after) - case["others"] * MB)
    return before - after < 0.05 * own


@pytest.mark.parametrize("name", CASES)
def test_every_phase_is_found_within_50_ms(name: str) -> None:
    phases, known = job(CASES[name]).phases, truth(CASES[name])

    assert [phase.name for phase in phases] == [phase for phase, *_ in known]
    assert all(abs(phase.start - start) <= 0.05 for phase, (_, start, _, _) in zip(phases, known, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_peaks_of_the_card_are_those_recorded(name: str) -> None:
    case = CASES[name]
    points = pairs(case["used"])

    for phase in job(case).phases:
        before = [used for at, used in points if at / 1000 <= phase.start + 0.02]
        inside = [used for at, used in points if phase.start + 0.02 < at / 1000 < phase.end]
        assert (phase.device_peak or 0) / MB == pytest.approx(max([before[-1], *inside]), rel=0.01)


@pytest.mark.parametrize("name", CASES)
def test_the_peak_of_torch_is_inferred_within_5_percent(name: str) -> None:
    case = CASES[name]
    phases = job(case).phases
    beside = base(case, phases)

    for phase, (_, start, end, reserved) in zip(phases, truth(case), strict=True):
        if end - start >= 0.1 and settles(case, start):
            assert (phase.device_peak or 0) / MB - beside == pytest.approx(reserved, rel=0.05)


def test_few_phases_begin_while_memory_is_let_go() -> None:
    begins = [(case, start) for case in CASES.values() for _, start, *_ in truth(case)]

    assert sum(not settles(case, start) for case, start in begins) <= 16 < 0.07 * len(begins)


def test_the_size_of_the_picture_is_known_where_the_inference_memory_does_not_hide_it() -> None:
    known = {name: job(case).pixels for name, case in CASES.items()}
    found = {name: pixels for name, pixels in known.items() if pixels is not None}

    assert len(found) > 30
    for name, pixels in found.items():
        width, height = CASES[name]["size"]
        assert pixels / (width * height) == pytest.approx(round(pixels / (width * height)), rel=0.01)


@pytest.mark.parametrize("name", TRACED)
def test_the_ledger_agrees_with_torchs_own_trace(name: str) -> None:
    case = CASES[name]
    phases, curve, weights = job(case).phases, device(case), Weights()
    beside = int((base(case, phases) - case["others"]) * MB)
    loads = {phase.start: phase for phase in phases if phase.name == "sample"}
    trace = pairs(case["allocated"])
    ahead = events(case)

    for phase in loads.values():
        moment = (phase.start + phase.end) / 2
        while ahead and ahead[0].at <= moment:
            weights.feed(ahead.pop(0).event)
        used = curve.at(moment) or 0
        memory = GpuMemory(81_559 * MB, used, 81_559 * MB - used, None)
        made = ledger(Holdings(moment, memory, used - case["others"] * MB, None, beside, dict(weights.placed)))
        size = {part.name: part.size / MB for part in made.parts if part.name != "weights"}
        placed = sum(part.size for part in made.parts if part.name == "weights") / MB
        allocated = [value for at, value in trace if phase.start <= at / 1000 <= phase.end]

        assert sum(part.size for part in made.parts) == made.total
        assert placed <= max(allocated) * 1.03
        assert placed + size.get("cache", 0.0) >= min(allocated)
        assert size.get("unexplained", 0.0) == 0
