"""Detection by Forge's rules."""

from __future__ import annotations

import pytest

from forgediag.forge.families import describe, detect
from forgediag.model import Header, Tensor
from forgediag.testing import architectures as nets
from forgediag.testing.headers import UNET, header, plain, tensor


def of(tensors: dict[str, Tensor]) -> Header:
    return Header("safetensors", tensors)


def shaped(**shapes: tuple[int, ...]) -> Header:
    return of({name.replace("__", "."): tensor("F16", shape) for name, shape in shapes.items()})


@pytest.mark.parametrize(
    ("name", "family", "channels"),
    [
        ("sd15", "sd15", 4),
        ("sd15-inpaint", "sd15-inpaint", 4),
        ("sd15-ip2p", "sd15-ip2p", 4),
        ("sd2", "sd2", 4),
        ("sdxl", "sdxl", 4),
        ("sdxl-inpaint", "sdxl-inpaint", 4),
        ("refiner", "sdxl-refiner", 4),
        ("sd3m", "sd3", 16),
        ("sd35m", "sd3.5-medium", 16),
        ("sd35l", "sd3.5-large", 16),
        ("flux", "flux-dev", 16),
        ("flux-schnell", "flux-schnell", 16),
        ("flux-aio:nf4", "flux-dev", 16),
        ("flux:gguf-Q4_0", "flux-dev", 16),
        ("chroma", "chroma", 16),
        ("ae", "vae", 16),
        ("vae", "vae", 4),
        ("clip_l", "clip_l", None),
        ("clip_g", "clip_g", None),
        ("t5:fp8", "t5", None),
        ("t5:gguf-Q8_0", "t5", None),
    ],
)
def test_a_file_is_what_forge_takes_it_for(name: str, family: str, channels: int | None) -> None:
    found = detect(header(name))
    assert (found.family, found.latent_channels) == (family, channels)


DEEP = ((1, 0), (2, 2), (4, 10))


@pytest.mark.parametrize(
    ("levels", "middle"),
    [(DEEP, 10), (((1, 0), (2, 2), (4, 4)), 4), (((1, 0), (2, 1), (4, 2)), 2)],
    ids=["sdxl", "ssd-1b", "vega"],
)
def test_distilled_sdxl_has_sdxls_engine(levels: tuple[tuple[int, int], ...], middle: int) -> None:
    assert detect(of(plain(nets.unet(320, levels, 2048, middle, adm=2816), "F16", UNET))).base == "sdxl"


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (nets.unet(320, ((1, 1), (2, 1), (4, 1), (4, 0)), 999, 1), "unknown"),
        (nets.unet(320, ((1, 1), (2, 1), (4, 1), (4, 0)), 1024, 1, adm=2048), "sd2"),
        (nets.unet(320, ((1, 1), (2, 1), (4, 1), (4, 0)), 1024, 1, channels=7), "sd2-7-channel"),
        (nets.unet(320, ((1, 0), (2, 0), (4, 0)), 768, 1), "unknown"),
        ({f"clf.{i}.weight": (4, 4) for i in range(8)} | {"clip_mapper.weight": (4, 4)}, "stable-cascade"),
        ({f"clf.{i}.weight": (4, 4) for i in range(8)}, "unknown"),
        ({"double_layers.0.attn.w1q.weight": (8, 8), **{f"a.{i}": (1,) for i in range(9)}}, "unknown"),
        ({"mlp_t5.0.weight": (4, 4)} | {f"blocks.{i}.weight": (4,) for i in range(8)}, "hunyuan-dit"),
        (
            {"joint_blocks.0.context_block.attn.qkv.weight": (4, 4), "x_embedder.proj.weight": (1536, 4, 2, 2)}
            | {f"joint_blocks.{i}.x": (4,) for i in range(8)},
            "unknown",
        ),
        (
            nets.unet(320, ((1, 1), (2, 1), (4, 1), (4, 0)), 1024, 1, adm=768, channels=8)
            | {"input_blocks.1.1.time_stack.0.attn1.to_q.weight": (4, 4)},
            "stable-video-diffusion",
        ),
    ],
)
def test_what_forge_has_no_engine_for_is_told_apart(shapes: nets.Shapes, family: str) -> None:
    assert detect(of(plain(shapes, "F16", UNET))).family == family


def test_zero123_is_known_and_refused() -> None:
    made = plain(nets.unet(320, ((1, 1), (2, 1), (4, 1), (4, 0)), 768, 1, linear=False, channels=8), "F16", UNET)
    made |= {"cc_projection.weight": tensor("F16", (768, 772)), "cc_projection.bias": tensor("F16", (768,))}
    assert (detect(of(made)).base, detect(of(made)).family) == (None, "stable-zero123")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("lora_unet_down_blocks_0.lora_up.weight", "lora"),
        ("unet.down.lora_A.weight", "lora"),
        ("x.hada_w1_a", "lora"),
        ("control_model.input_hint_block.0.weight", "controlnet"),
        ("controlnet_cond_embedding.conv_in.weight", "controlnet"),
        ("ip_adapter.1.to_k_ip.weight", "ip-adapter"),
        ("down_blocks.0.motion_modules.0.x", "motion-module"),
        ("1.conv.0.weight", "taesd"),
        ("RRDB_trunk.0.RDB1.conv1.weight", "upscaler"),
        ("body.0.rdb1.conv1.weight", "upscaler"),
        ("vision_model.embeddings.class_embedding", "clip-vision"),
        ("down_blocks.0.resnets.0.conv1.weight", "diffusers-unet"),
        ("transformer_blocks.0.attn.to_q.weight", "diffusers-transformer"),
        ("something.else", "unknown"),
    ],
)
def test_other_files_are_named_for_what_they_look_like(name: str, family: str) -> None:
    assert detect(of({name: tensor("F16", (64, 64))})).family == family


def test_a_textual_inversion_is_an_embedding() -> None:
    assert detect(shaped(emb_params=(8, 768))).family == "embedding"
    assert detect(shaped(clip_l=(8, 768), clip_g=(8, 1280))).family == "embedding"
    assert detect(of({})).family == "unknown"


def test_an_odd_clip_is_unknown() -> None:
    assert detect(of({"text_model.encoder.layers.0.layer_norm1.bias": tensor("F16", (512,))})).family == "unknown"


def test_the_parts_of_a_checkpoint_add_up_to_the_file() -> None:
    found = header("sdxl")
    family, channels, sizes = describe(found)
    assert (family, channels) == ("sdxl", 4)
    assert sum(sizes.values()) == sum(t.nbytes for t in found.tensors.values())
    assert sizes["KModel"] == 2_567_463_684 * 2


def test_a_tensor_no_part_takes_is_not_counted() -> None:
    made = of(dict(header("sdxl").tensors) | {"model_ema.decay": tensor("F32", (1000,))})
    assert describe(made)[2] == describe(header("sdxl"))[2]


@pytest.mark.parametrize(("name", "part"), [("ae", "IntegratedAutoencoderKL"), ("t5:fp8", "JointTextEncoder")])
def test_a_module_is_one_part(name: str, part: str) -> None:
    assert set(describe(header(name))[2]) == {part}


def test_a_bare_transformer_is_all_unet() -> None:
    assert describe(header("flux:fp8"))[2] == {"KModel": 11_901_408_320}


def test_a_lora_has_no_part() -> None:
    assert describe(of({"a.lora_up.weight": tensor("F16", (8, 8))})) == ("lora", None, {})
