"""Bad requests are refused in one line, odd ones are planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.forge.families import UNET
from forgediag.model import MB, Header
from forgediag.plan.document import document
from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Picture, RefusedError, Request, Second, Settings, flags_of
from forgediag.plan.workload import workload_of
from forgediag.testing.architectures import vae
from forgediag.testing.headers import header, plain


def request_of(card: Card = Card(8000), picture: Picture = Picture()) -> Request:  # noqa: B008 - frozen
    return Request(header("sd15"), (), card, picture=picture)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (request_of(Card(8)), "did you mean 8GiB?"),
        (request_of(picture=Picture(width=63, height=64)), "width 63"),
        (request_of(picture=Picture(height=32)), "height 32"),
        (request_of(picture=Picture(batch=0)), "batch 0"),
        (request_of(picture=Picture(images=0)), "images 0"),
        (request_of(picture=Picture(steps=0)), "steps 0"),
    ],
)
def test_a_bad_request_is_refused_with_what_is_wrong(request_: Request, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        plan(request_)
    assert words in str(caught.value)


@pytest.mark.parametrize("inference", [-500, 0, 100_000])
def test_any_reserve_is_planned_as_forge_would(inference: int) -> None:
    made = plan(request_of().setting(Settings(inference)))
    assert made.steps


def test_the_total_is_the_next_usual_card() -> None:
    assert Card(11000).total == 11 * 1024
    assert Card(11300).total == 12 * 1024
    assert Card(500_000).total == 500_000
    assert Card(7000, 8187).total == 8187


def test_flags_are_forges_attributes() -> None:
    assert flags_of("--always-low-vram --xformers port 7860") == {"always_low_vram", "xformers"}


def test_a_lora_is_refused_with_what_it_looks_like() -> None:
    lora = Header(
        "safetensors", {"unet.a.lora_up.weight": header("sd15").tensors["model.diffusion_model.out.0.weight"]}
    )
    made = plan(Request(lora, (), Card(8000)))
    assert made.error is not None
    assert made.error.message == "Failed to recognize model type!"
    assert made.components.why == "this file is no checkpoint but a file of the kind lora"
    assert not document(made)["loads_ok"]
    assert made.first_seconds is None


def test_a_checkpoint_without_a_vae_is_planned_as_far_as_it_goes() -> None:
    bare = {name: t for name, t in header("sd15").tensors.items() if not name.startswith("first_stage_model.")}
    made = plan(Request(Header("safetensors", bare), (), Card(8000)))
    assert made.error is not None
    assert (made.error.type, made.error.message) == ("AssertionError", "You do not have VAE state dict!")
    assert [step.phase for step in made.steps] == ["text_encode", "sample"]


def test_a_flux_without_text_encoders_says_what_forge_says() -> None:
    made = plan(Request(header("flux:fp8"), (header("ae:bf16"),), Card(12000)))
    assert made.error is not None
    assert made.error.message == "You do not have CLIP state dict!"
    assert [step.phase for step in made.steps] == ["sample", "vae_decode"]


def test_a_flux_without_t5_says_what_forge_says() -> None:
    made = plan(Request(header("flux:fp8"), (header("ae:bf16"), header("clip_l")), Card(12000)))
    assert made.error is not None
    assert made.error.message == "You do not have T5 state dict!"


def test_a_chroma_without_t5_fails_with_forges_own_key_error() -> None:
    made = plan(Request(header("chroma"), (header("ae:bf16"),), Card(24000)))
    assert made.error is not None
    assert (made.error.type, made.error.message) == ("KeyError", "'text_encoder_2'")


def test_a_tiny_unet_is_no_model() -> None:
    tensors = header("flux:fp8").tensors
    few = {name: tensors[name] for name in list(tensors)[:12]} | {
        "double_blocks.0.img_attn.norm.key_norm.scale": tensors["double_blocks.0.img_attn.norm.key_norm.scale"]
    }
    made = plan(Request(Header("safetensors", few), tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))), Card(12000)))
    assert made.error is not None
    assert made.error.message == "You do not have model state dict!"
    assert UNET not in made.components.parts


def test_a_gguf_type_forge_cannot_compute_with_is_told() -> None:
    made = plan(Request(header("flux:gguf-IQ4_XS"), tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))), Card(12000)))
    assert made.components.warnings == ("Forge cannot compute with GGUF type IQ4_XS",)


def test_an_extracted_vae_replaces_only_one_that_fits() -> None:
    fitting = Header("safetensors", plain(vae(4), "F32", "first_stage_model."))
    wrong = Header("safetensors", plain(vae(16), "F32", "first_stage_model."))
    without = {name: t for name, t in header("sd15").tensors.items() if not name.startswith("first_stage_model.")}
    for module, loads in ((fitting, True), (wrong, False)):
        made = plan(Request(Header("safetensors", without), (module,), Card(8000)))
        assert (made.error is None) is loads
    sd3 = {name: t for name, t in header("sd35m").tensors.items() if not name.startswith("first_stage_model.")}
    modules = (wrong, *map(header, ("clip_l_proj", "clip_g", "t5:fp8")))
    assert plan(Request(Header("safetensors", sd3), modules, Card(24000))).error is None


def test_the_document_has_the_promised_keys() -> None:
    made = document(plan(request_of(picture=Picture(images=2))), {"KModel": "sd15.safetensors"})
    assert made["schema"] == "forgediag.plan/1"
    assert made["components"][1]["file"] == "sd15.safetensors"
    assert made["components"][1]["require_mb"] == 1639.41
    assert made["fits"]
    assert made["oom_phase"] is None
    assert set(made["peak_mb"]) == {"text_encode", "sample", "vae_decode"} == set(made["device_peak_mb"])
    assert made["steps"][-1]["target"] is None
    assert made["per_image_seconds"]["next"] < made["per_image_seconds"]["first"]


def test_a_refiner_forge_cannot_load_is_left_out() -> None:
    request = replace(request_of(), second=Second("refiner", Header("safetensors", {})))
    assert [step.phase for step in plan(request).steps] == ["text_encode", "sample", "vae_decode"]


def test_a_refiner_has_peaks_of_its_own() -> None:
    made = plan(replace(request_of(Card(12_000)), second=Second("refiner", header("sdxl"))))
    first, second = (peak for peak in made.peaks if peak.phase == "sample" and peak.image == 1)
    assert second.allocated > first.allocated + 3000 * MB


def test_hires_fix_encodes_its_prompts_as_its_own_scale_asks() -> None:
    counts = [
        workload_of(Picture(cfg=7, hires=1.5, hires_cfg=scale), "sdxl").hires_prompts for scale in (None, 7, 1)
    ] + [
        workload_of(Picture(cfg=1, hires=1.5), "sdxl").hires_prompts,
        workload_of(Picture(), "sdxl").hires_prompts,
    ]
    assert counts == [2, 2, 1, 1, 0]
