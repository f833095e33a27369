"""Peaks of whole plans: passes, batches, tiles, Async, the card's used memory."""

from __future__ import annotations

from forgediag.model import MB
from forgediag.plan.peaks import device_peaks, forward_images, phase_peaks
from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Picture, Request, Settings
from forgediag.testing.headers import header

SDXL = header("sdxl")


def needed(request: Request, phase: str) -> float:
    return max(peak.needed for peak in plan(request).peaks if peak.phase == phase) / MB


def test_cfg_runs_in_two_passes_when_forge_thinks_one_does_not_fit() -> None:
    request = Request(SDXL, (), Card(8000))
    assert forward_images("sdxl", request, (1024, 1024), 2, 2000 * MB) == (2, 1)
    assert forward_images("sdxl", request, (1024, 1024), 2, 1000 * MB) == (1, 2)
    alone = Request(SDXL, (), Card(8000), picture=Picture(cfg=1))
    assert forward_images("sdxl", alone, (1024, 1024), 2, 1000 * MB) == (1, 1)


def test_a_picture_too_large_to_decode_is_decoded_in_tiles() -> None:
    made = plan(Request(SDXL, (), Card(5000), picture=Picture(2048, 2048)))
    assert any(peak.tiled for peak in made.peaks)
    assert made.fits


def test_a_card_too_small_runs_out_of_memory_while_sampling() -> None:
    made = plan(Request(SDXL, (), Card(1100), Settings(1024), Picture(2048, 2048, 4)))
    assert made.tight is not None
    assert made.tight.phase == "sample"


def test_an_image_to_image_job_encodes_first() -> None:
    made = plan(Request(SDXL, (), Card(8000), picture=Picture(img2img=True)))
    assert "vae_encode" in phase_peaks(made.peaks)
    assert made.seconds[0] > 0


def test_async_counts_copies_in_every_part_that_swaps() -> None:
    flux = Request(header("flux:fp8"), tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))), Card(5000))
    queue = plan(flux)
    slow = plan(flux.setting(Settings(1024, "Async", "Shared")))
    bound = {peak.phase: peak.needed for peak in slow.peaks if peak.bound}
    assert {"text_encode", "sample"} <= set(bound)
    assert slow.tight is not None
    assert queue.fits


def test_a_quantised_model_in_flight_counts_unpacked() -> None:
    flux = Request(header("flux:nf4"), tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))), Card(5000))
    made = plan(flux.setting(Settings(1024, "Async", "CPU")))
    sample = next(peak for peak in made.peaks if peak.phase == "sample")
    assert sample.needed > 2 * made.unet_swap


def test_a_vae_that_swaps_under_async_counts_its_copies() -> None:
    made = plan(Request(header("sd15"), (), Card(1100), Settings(1024, "Async", "CPU"), Picture(256, 256)))
    assert next(peak for peak in made.peaks if peak.phase == "vae_decode").bound


def test_the_card_is_never_fuller_than_full() -> None:
    request = Request(SDXL, (), Card(7000, 8192))
    made = plan(request)
    used = device_peaks(request, made.peaks)
    assert all(made_peak < used[phase] <= 8192 * MB for phase, made_peak in phase_peaks(made.peaks).items())
    assert used["sample"] > phase_peaks(made.peaks)["sample"] + 1192 * MB


def test_host_memory_holds_the_files_and_what_is_built_from_them() -> None:
    made = plan(Request(SDXL, (), Card(8000)))
    assert made.ram_peak > 2 * 6_900_000_000


def test_a_step_that_hangs_on_the_allocators_overhead_is_told() -> None:
    # SDXL takes 102 MB more than its weights: just enough for Forge to move it out for the decode.
    assert plan(Request(SDXL, (), Card(8000), Settings(1024))).doubts == ()
    close = plan(Request(SDXL, (), Card(4897.1 + 4563.4 + 60), Settings(1024)))
    assert len(close.doubts) == 1
    assert close.doubts[0].startswith("vae_decode of image 1: on a real card Forge will unload ")
    assert "KModel" in close.doubts[0]
