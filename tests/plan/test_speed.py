"""Seconds: estimated, calibrated, read from a console log."""

from __future__ import annotations

import pytest

from forgediag.forge.memory.swap import Swap
from forgediag.model import MB
from forgediag.plan.speed import Observation, calibrated, estimated, from_console, work

PRIOR = estimated("sdxl", "NVIDIA GeForce RTX 3060", (8, 6), 4, 16)
SIZE = (1024, 1024)


def test_a_step_is_computing_and_copying() -> None:
    plain = PRIOR.step(SIZE, 2, 1, 0, Swap())
    assert PRIOR.step(SIZE, 2, 1, 7e9, Swap()) == pytest.approx(plain + 7e9 / PRIOR.pageable)
    assert PRIOR.step(SIZE, 2, 1, 7e9, Swap(shared=True)) == pytest.approx(plain + 7e9 / PRIOR.pinned)
    assert PRIOR.step(SIZE, 1, 2, 7e9, Swap()) > PRIOR.step(SIZE, 1, 1, 7e9, Swap())


def test_async_overlaps_pinned_copies_only() -> None:
    plain = PRIOR.step(SIZE, 2, 1, 0, Swap())
    assert PRIOR.step(SIZE, 2, 1, 1e9, Swap(asynchronous=True, shared=True)) == pytest.approx(plain + 0.07)
    assert PRIOR.step(SIZE, 2, 1, 1e9, Swap(asynchronous=True)) == PRIOR.step(SIZE, 2, 1, 1e9, Swap())
    flux = estimated("flux-dev", "", (8, 6))
    assert flux.step(SIZE, 1, 1, 0, Swap(asynchronous=True, shared=True)) == flux.unit + 0.02


def test_nothing_seen_changes_nothing() -> None:
    assert calibrated(PRIOR, []) is PRIOR


def test_a_job_without_swap_tells_computing_one_with_swap_copying() -> None:
    seen = [Observation(SIZE, 2, 1.0), Observation(SIZE, 2, 1.5, 3e9)]
    speed = calibrated(PRIOR, seen)
    assert speed.step(SIZE, 2, 1, 0, Swap()) == pytest.approx(1.0)
    assert speed.pageable == pytest.approx(6e9)
    assert speed.pinned == PRIOR.pinned
    assert (speed.confidence, speed.jobs) == ("calibrated", 2)


def test_jobs_that_all_swapped_are_taken_apart_by_the_prior() -> None:
    speed = calibrated(PRIOR, [Observation(SIZE, 2, 1.5, 3e9), Observation(SIZE, 2, 1.2, 3e9, swap=Swap(shared=True))])
    assert 0.5 < speed.step(SIZE, 2, 1, 0, Swap()) < 1.5


def test_a_step_near_the_floor_tells_how_long_launching_takes() -> None:
    speed = calibrated(estimated("sdxl", "H100", (9, 0)), [Observation(SIZE, 2, 0.06)])
    assert speed.floor == pytest.approx(0.06)
    assert speed.step((512, 512), 2, 1, 0, Swap()) == pytest.approx(0.06)


def test_moving_and_decoding_are_taken_from_jobs_that_show_them() -> None:
    seen = Observation(SIZE, 2, 1.0, loaded=4e9, load_seconds=2, unloaded=4e9, unload_seconds=4, decode=0.5)
    speed = calibrated(PRIOR, [seen])
    assert (speed.load, speed.unload, speed.decode) == (2e9, 1e9, 0.5)


def test_jobs_of_another_size_calibrate_but_do_not_measure() -> None:
    seen = [Observation(SIZE, 2, 1.0)] * 3
    assert calibrated(PRIOR, seen, SIZE).confidence == "measured"
    assert calibrated(PRIOR, seen, (512, 512)).confidence == "calibrated"


def test_small_loads_tell_nothing() -> None:
    speed = calibrated(PRIOR, [Observation(SIZE, 2, 1.0, loaded=1e6, load_seconds=2)])
    assert speed.load == PRIOR.load


def test_a_tiled_decode_costs_four_times_as_much() -> None:
    assert PRIOR.decoding(SIZE, 1, tiled=True) == 4 * PRIOR.decoding(SIZE, 1, tiled=False)


def test_work_grows_faster_than_the_picture() -> None:
    assert work("sdxl", SIZE, 1) == pytest.approx(1)
    assert work("flux-dev", SIZE, 1) == pytest.approx(1)
    assert work("flux-dev", (2048, 2048), 1) > 4
    assert work("sdxl", (2048, 2048), 1) > 4


_PLACED = (
    "[Memory Management] Target: {}, Free GPU: 7000.00 MB, Model Require: 6000.00 MB, Previously Loaded: 0.00 MB, "
    "Inference Require: 1024.00 MB, Remaining: -24.00 MB, "
)
LOG = "\n".join(
    (
        _PLACED.format("JointTextEncoder") + "CPU Swap Loaded (blocked method): 99.00 MB, GPU Loaded: 1.00 MB",
        _PLACED.format("KModel") + "Shared Swap Loaded (asynchronous method): 1500.00 MB, GPU Loaded: 1.00 MB",
        "  5%|5         | 1/20 [00:01<00:30,  1.60s/it]",
        "100%|##########| 20/20 [00:25<00:00,  1.25s/it]",
        _PLACED.format("KModel") + "All loaded to GPU.",
        "100%|##########| 20/20 [00:10<00:00,  2.00it/s]",
        "100%|##########| 20/20 [00:10<?, 0.00it/s]",
    )
)


def test_a_console_log_gives_steps_with_the_swap_before_them() -> None:
    first, second = from_console(LOG, SIZE, 2)
    assert (first.step, first.swapped, first.swap) == (1.25, 1500 * MB, Swap(asynchronous=True, shared=True))
    assert (second.step, second.swapped) == (0.5, 0)
