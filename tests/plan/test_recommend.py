"""The advice: never out of memory, forks, reasons, the curve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Advice, Gap, Header
from forgediag.plan.predict import plan
from forgediag.plan.recommend import Candidate, choose, recommend
from forgediag.plan.request import Card, Picture, Request, Settings
from forgediag.plan.speed import Observation, calibrated, estimated
from forgediag.testing.headers import header

FLUX = Request(
    header("flux:fp8"),
    tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))),
    Card(11_264, 12_282, name="NVIDIA GeForce RTX 4070"),
    ram_mb=65_536,
    name="flux1-dev-fp8",
)
SDXL = Request(header("sdxl"), (), Card(7168, name="NVIDIA GeForce RTX 4060"), ram_mb=32_768)


def advice(request: Request, **more: object) -> Advice:
    made = recommend(request, **more)  # type: ignore[arg-type] # tests name the arguments
    assert isinstance(made, Advice)
    return made


def test_flux_on_twelve_gigabytes_is_told_to_keep_room_for_the_decode() -> None:
    made = advice(FLUX)
    assert made.model == "flux1-dev-fp8"
    assert made.recommended.forge_pin_shared_memory == "Shared"
    assert made.recommended.forge_inference_memory > 2500
    assert made.recommended.gpu_weights_mb == 12_282 - made.recommended.forge_inference_memory
    assert made.expected.speedup is not None
    assert made.expected.speedup > 1.1
    assert made.confidence == "estimated"
    assert made.also_set == {"flux_GPU_MB": made.recommended.gpu_weights_mb}


def test_pinning_more_than_half_of_the_host_is_not_advised() -> None:
    made = advice(replace(FLUX, ram_mb=8192))
    assert made.recommended.forge_pin_shared_memory == "CPU"
    assert not plan(replace(FLUX, ram_mb=8192).setting(Settings(3400, "Queue", "Shared"))).fits


def test_async_that_could_run_out_of_memory_is_not_advised() -> None:
    made = advice(replace(FLUX, card=Card(7168)))
    assert made.recommended.forge_async_loading == "Queue"
    assert any("Async is not advised" in reason or "Shared pins" in reason for reason in made.because)


def test_a_setting_as_fast_as_any_is_kept() -> None:
    made = advice(replace(FLUX, card=Card(79_000, name="H100")))
    assert made.current == made.recommended
    assert "as fast as any" in made.because[0]


def test_a_setting_that_can_run_out_of_memory_is_named_first() -> None:
    made = advice(replace(FLUX, card=Card(7168)), current=Settings(4700, "Async", "Shared"))
    assert made.because[0] == "The current setting can run out of memory while the prompt is encoded."


def test_a_setting_only_the_margin_forbids_is_named_too() -> None:
    # The model just fits: 450 MB are free while sampling, which needs 310, and 150 less could be free another time.
    made = advice(replace(SDXL, card=Card(5450)), current=Settings(0))
    assert made.because[0] == "The current setting can run out of memory within the margin."


def test_where_nothing_fits_the_advice_says_so() -> None:
    made = advice(Request(header("sdxl"), (), Card(900), picture=Picture(2048, 2048)))
    assert made.because[0].startswith("No setting fits")
    assert not any(point.fits for point in made.curve)


def test_the_curve_is_in_order_and_holds_the_advice() -> None:
    made = advice(SDXL)
    values = [point.forge_inference_memory for point in made.curve]
    assert values == sorted(values)
    assert made.recommended.forge_inference_memory in values
    assert all(point.gpu_weights_mb == 8192 - point.forge_inference_memory for point in made.curve)


def test_ersatzforge_keeps_the_reserve_in_its_presets() -> None:
    made = advice(FLUX, fork="ersatzforge")
    assert made.also_set == {"flux_GPU_MB": made.recommended.forge_inference_memory}
    assert "ersatzForge" in made.because[-1]


def test_neo_gets_a_flag_instead_of_an_option() -> None:
    made = advice(FLUX, fork="neo")
    assert made.flags == (f"--reserve-vram {round(made.recommended.forge_inference_memory / 1024, 1):g}",)
    assert made.also_set == {}
    assert "--reserve-vram" in made.because[-1]


def test_other_webuis_get_none() -> None:
    made = recommend(FLUX, fork="other")
    assert isinstance(made, Gap)
    assert made.kind == "unsupported"


@pytest.mark.parametrize("request_", [replace(FLUX, modules=()), Request(Header("safetensors", {}), (), Card(8000))])
def test_files_forge_refuses_get_none(request_: Request) -> None:
    made = recommend(request_)
    assert isinstance(made, Gap)
    assert made.reason.startswith("Forge will not load this")


def test_sd15_has_no_preset_option() -> None:
    assert advice(Request(header("sd15"), (), Card(3072))).also_set == {}


def test_a_narrow_slot_is_named_where_it_costs() -> None:
    narrow = replace(FLUX, card=replace(FLUX.card, pcie_generation=4, pcie_width=4))
    assert any("only 4 PCIe lanes" in reason for reason in advice(narrow).because)


def test_storing_in_fp8_is_suggested_where_it_saves_time() -> None:
    full = Request(
        header("flux"), FLUX.modules, Card(15_360, name="RTX 4080", pcie_generation=3, pcie_width=8), ram_mb=65_536
    )
    assert any("float8-e4m3fn would take" in reason for reason in advice(full).because)


def test_storing_in_fp8_is_not_suggested_where_it_saves_nothing() -> None:
    slow = Request(header("flux"), FLUX.modules, Card(23_000, name="GTX 1060"), ram_mb=65_536)
    assert not any("float8-e4m3fn" in reason for reason in advice(slow).because)


def test_own_jobs_make_the_advice_calibrated_then_measured() -> None:
    prior = estimated("sdxl", "RTX 4060", (8, 9))
    job = Observation((1024, 1024), 2, 0.9)
    assert advice(SDXL, speed=calibrated(prior, [job])).confidence == "calibrated"
    made = advice(SDXL, speed=calibrated(prior, [job] * 3))
    assert made.confidence == "measured"
    assert any("jobs seen on this machine" in reason for reason in made.because)


def test_a_vae_on_the_cpu_leaves_only_the_sampling_to_judge() -> None:
    made = advice(replace(SDXL, flags=frozenset({"vae_in_cpu"})))
    assert made.because


def candidate(seconds: float, mb: int, *, fits: bool = True, method: str = "Queue", slack: float = 0) -> Candidate:
    settings = Settings(mb, "Async" if method == "Async" else "Queue", "CPU")
    return Candidate(settings, plan(SDXL), seconds, fits, slack)


def test_among_equals_the_lowest_value_wins() -> None:
    assert choose([candidate(10, 2000), candidate(10.05, 1000), candidate(10.2, 500)]).mb == 1000


def test_async_must_be_worth_its_memory() -> None:
    assert choose([candidate(10, 1000), candidate(9.7, 1000, method="Async")]).settings.method == "Queue"
    assert choose([candidate(10, 1000), candidate(9.0, 1000, method="Async")]).settings.method == "Async"


def test_where_none_fits_the_nearest_miss_is_chosen() -> None:
    far, near = candidate(1, 1000, fits=False, slack=-500), candidate(9, 2000, fits=False, slack=-10)
    assert choose([far, near]) is near
