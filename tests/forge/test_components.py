"""Sizes Forge prints as "Model Require", from headers alone."""

from __future__ import annotations

import pytest

from forgediag.forge.components import Components, build
from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE
from forgediag.model import MB, Header
from forgediag.testing import architectures as nets
from forgediag.testing.headers import header, plain, scaled, tensor

FLUX = ("ae:bf16", "clip_l", "t5:fp8")
SD3 = ("clip_l", "clip_g", "t5")
ROOM = Moment(24_000 * MB, 1024 * MB)


def made(name: str, modules: tuple[str, ...] = (), storage: str | None = None) -> Components:
    return build(header(name), tuple(map(header, modules)), device=Device(), moment=ROOM, storage=storage)


def mb(found: Components, target: str = UNET, stage: int = 0) -> float:
    part = next(part for part in found.parts.values() if part.target == target)
    return round(part.stages.at(stage).size / MB, 2)


@pytest.mark.parametrize(
    ("name", "modules", "storage", "require"),
    [
        ("sd15", (), None, 1639.41),
        ("sd15:fp32", (), None, 1639.41),
        ("sd15", (), "float8-e4m3fn", 819.70),
        ("sd15-inpaint", (), None, 1639.43),
        ("sd2", (), None, 1651.59),
        ("sdxl", (), None, 4897.05),
        ("sdxl", (), "float8_e5m2", 2448.52),
        ("refiner", (), None, 4309.71),
        ("sd3m", SD3, None, 3868.73),
        ("sd35m", SD3, None, 4278.51),
        ("sd35l", SD3, None, 15366.80),
        ("sd35l:fp8", SD3, None, 7683.40),
        ("flux", FLUX, None, 22700.13),
        ("flux:fp8", FLUX, None, 11350.07),
        ("flux:e5m2", FLUX, None, 11350.07),
        ("flux:nf4", FLUX, None, 6246.84),
        ("flux:fp4", FLUX, None, 6246.84),
        ("flux:bf16", FLUX, "bnb-nf4", 6246.84),
        ("flux:scaled", FLUX, None, 11350.07),
        ("flux-schnell", FLUX, None, 22680.62),
        ("flux:gguf-Q8_0", FLUX, None, 12119.55),
        ("flux:gguf-Q4_0", FLUX, None, 6476.55),
        ("flux:gguf-Q6_K", FLUX, None, 9386.22),
        ("flux:gguf-Q5_K", FLUX, None, 7887.30),
        ("chroma", FLUX, None, 16975.37),
        ("chroma:gguf-Q8_0", FLUX, None, 9280.46),
    ],
)
def test_the_unet_takes_what_forge_prints(
    name: str, modules: tuple[str, ...], storage: str | None, require: float
) -> None:
    assert mb(made(name, modules, storage)) == require


@pytest.mark.parametrize(
    ("name", "modules", "first", "later"),
    [
        ("sd15", (), 234.72, 307.21),
        ("sdxl", (), 1559.68, 1752.98),
        ("refiner", (), 1324.96, 1445.77),
        ("flux:fp8", FLUX, 5153.49, 5225.98),
        ("flux:fp8", ("ae:bf16", "clip_l_proj", "t5:fp8"), 5154.62, 5227.11),
        ("flux:fp8", ("ae:bf16", "clip_l", "t5"), 9569.49, 9641.98),
        ("flux:fp8", ("ae:bf16", "clip_l", "t5:gguf-Q8_0"), 5429.49, 5501.98),
        ("sd35l", SD3, 10894.45, 11087.75),
        ("chroma", FLUX, 4918.77, 4918.77),
    ],
)
def test_text_encoders_grow_with_the_first_prompt(
    name: str, modules: tuple[str, ...], first: float, later: float
) -> None:
    found = made(name, modules)
    assert (mb(found, TEXT_ENCODER), mb(found, TEXT_ENCODER, 2)) == (first, later)


def test_sd2_leaves_the_last_layer_of_its_file_out() -> None:
    layers = made("sd2").parts[TEXT_ENCODER].stages.fresh.layers
    assert max(int(layer.name.split(".")[4]) for layer in layers if ".layers." in layer.name) == 22


def test_flux_grows_when_its_norms_take_the_computation_type() -> None:
    assert mb(made("flux:fp8", FLUX), UNET, 2) == 11350.09


def test_q4_k_grows_by_a_ninth_with_the_first_load() -> None:
    found = made("flux:gguf-Q4_K", FLUX)
    assert (mb(found), mb(found, UNET, 1)) == (6476.55, 7181.92)


def test_a_scaled_file_whose_majority_is_not_fp8_is_stored_in_full() -> None:
    header_ = Header("safetensors", scaled(nets.flux(), rest="BF16"))

    found = build(header_, tuple(map(header, FLUX)), device=Device(), moment=ROOM)
    assert found.parts[UNET].storage == "bfloat16"
    assert mb(found) == 22700.14


def test_the_gguf_type_is_named() -> None:
    assert made("flux:gguf-Q8_0", FLUX).parts[UNET].storage == "gguf:Q8_0"


def test_text_encoders_are_named_by_what_t5_is_stored_in() -> None:
    for module, storage in (("t5:fp8", "float8_e4m3fn"), ("t5", "float16"), ("t5:gguf-Q8_0", "gguf:Q8_0")):
        assert made("flux:fp8", ("ae:bf16", "clip_l", module)).parts[TEXT_ENCODER].storage == storage
    assert made("sdxl").parts[TEXT_ENCODER].storage == "float16"


def test_the_vae_follows_the_card() -> None:
    assert mb(made("flux:fp8", FLUX), VAE) == 159.87
    assert mb(made("sdxl"), VAE) == 159.56


def test_a_clip_module_replaces_a_checkpoints_own() -> None:
    old = made("sdxl").parts[TEXT_ENCODER].parameters
    transformers = header("clip_g").tensors
    openclip = plain(nets.open_clip(1280, 32), "F16")
    extracted = plain(nets.open_clip(1280, 32), "F16", "conditioner.embedders.1.model.")
    other = plain(nets.clip(768, 12), "F32", "conditioner.embedders.0.transformer.")
    for module in (transformers, openclip, extracted, other):
        found = build(header("sdxl"), (Header("safetensors", module),), device=Device(), moment=ROOM)
        assert mb(found, TEXT_ENCODER) == 1559.68
        assert abs(found.parts[TEXT_ENCODER].parameters - old) < 100


def test_a_clip_for_another_family_changes_nothing() -> None:
    assert mb(made("sd15", ("clip_g",)), TEXT_ENCODER) == 234.72
    assert mb(made("sd2", ("t5:fp8", "clip_l")), TEXT_ENCODER) == mb(made("sd2"), TEXT_ENCODER)


def test_old_sd15_names_without_text_model_are_understood() -> None:
    renamed = {name.replace("transformer.text_model.", "transformer."): t for name, t in header("sd15").tensors.items()}

    found = build(Header("safetensors", renamed), (), device=Device(), moment=ROOM)
    assert mb(found, TEXT_ENCODER) == 234.72


def test_a_second_copy_of_t5s_embedding_is_not_built() -> None:
    tensors = dict(header("t5:fp8").tensors)
    tensors |= {"encoder.embed_tokens.weight": tensors["shared.weight"], "logit_scale": tensor("F32", ())}

    modules = (header("ae:bf16"), header("clip_l"), Header("safetensors", tensors))
    found = build(header("flux:fp8"), modules, device=Device(), moment=ROOM, storage=None)
    assert mb(found, TEXT_ENCODER) == 5153.49


def test_a_part_that_is_lacking_is_absent_and_the_rest_is_sized() -> None:
    whole = header("sd15").tensors
    for prefix, part, kind in (
        ("first_stage_model.", VAE, "VAE"),
        ("cond_stage_model.", TEXT_ENCODER, "CLIP"),
    ):
        rest = {name: tensor for name, tensor in whole.items() if not name.startswith(prefix)}
        found = build(Header("safetensors", rest), (), device=Device(), moment=ROOM)
        assert part not in found.parts
        assert found.error is not None
        assert found.error.message == f"You do not have {kind} state dict!"


def test_modules_whose_names_forge_cannot_rename_leave_the_checkpoints_own_parts() -> None:
    module = header("clip_g").tensors
    short = {name: tensor for name, tensor in module.items() if name != "text_projection.weight"}
    found = build(header("sdxl"), (Header("safetensors", short),), device=Device(), moment=ROOM)
    assert found.error is not None
    assert found.error.message == "Failed to recognize model type!"
    assert set(found.parts) == {TEXT_ENCODER, UNET, VAE}


def test_a_checkpoint_whose_names_are_not_known_is_not_recognised() -> None:
    found = build(Header("unknown", {}), (), device=Device(), moment=ROOM)
    assert found.error is not None
    assert found.error.type == "ValueError"


def test_a_fragment_of_a_unet_is_not_built() -> None:
    names = ("double_blocks.0.img_attn", "guidance_in.in_layer.weight")
    few = {name: tensor for name, tensor in header("flux").tensors.items() if name.startswith(names)}
    found = build(Header("safetensors", few), (), device=Device(), moment=ROOM)
    assert UNET not in found.parts
