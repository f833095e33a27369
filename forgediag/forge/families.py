"""Which model family a header is, by the rules Forge's own detection follows, or what else it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from forgediag.model import Header, Tensor

Base = Literal[
    "sd15", "sd2", "sdxl", "sdxl-refiner", "sd3", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell", "chroma"
]
"""The families Forge has an engine for (Forge dfdcbab, backend/loader.py, `possible_models`)."""

UNET_PREFIX = "model.diffusion_model."
"""Where Forge looks for the UNet; it adds the prefix when no tensor has it (backend/loader.py)."""

FEW = 5
"""Forge looks for a UNet under its prefix where more names than these have it (huggingface_guess, detection.py)."""

Part = Literal["JointTextEncoder", "KModel", "IntegratedAutoencoderKL"]
"""The class names Forge prints for the three parts it loads."""
TEXT_ENCODER: Part = "JointTextEncoder"
UNET: Part = "KModel"
VAE: Part = "IntegratedAutoencoderKL"


@dataclass(frozen=True, slots=True)
class Detection:
    """What Forge makes of a file.

    `base` is the family whose engine Forge builds, None when it builds none. `family` adds a mark for the input
    channels ("sdxl-inpaint", "sd15-ip2p"); without a base it says what the file looks like ("lora", "vae", "unknown").
    `bare` tells a file whose UNet has no prefix. `latent_channels` are those of the VAE that fits.
    """

    family: str
    base: Base | None
    bare: bool
    latent_channels: int | None


LATENT_CHANNELS: Mapping[Base, int] = {
    "sd15": 4,
    "sd2": 4,
    "sdxl": 4,
    "sdxl-refiner": 4,
    "sd3": 16,
    "sd3.5-medium": 16,
    "sd3.5-large": 16,
    "flux-dev": 16,
    "flux-schnell": 16,
    "chroma": 16,
}

VAE_PREFIX: Mapping[Base, str] = {
    base: "vae." if base in {"flux-dev", "flux-schnell", "chroma"} else "first_stage_model." for base in LATENT_CHANNELS
}
"""huggingface_guess 84826248, model_list.py, `vae_key_prefix`."""

TEXT_PREFIXES: Mapping[Base, tuple[str, ...]] = {
    "sd15": ("cond_stage_model.",),
    "sd2": ("cond_stage_model.model.", "conditioner.embedders.0.model."),
    "sdxl": ("conditioner.embedders.0.transformer.text_model", "conditioner.embedders.1.model."),
    "sdxl-refiner": ("conditioner.embedders.0.model.",),
    "sd3": ("text_encoders.",),
    "sd3.5-medium": ("text_encoders.",),
    "sd3.5-large": ("text_encoders.",),
    "flux-dev": ("text_encoders.",),
    "flux-schnell": ("text_encoders.",),
    "chroma": ("text_encoders.",),
}
"""huggingface_guess 84826248, model_list.py, `process_clip_state_dict`."""

Tensors = Mapping[str, Tensor]


def detect(header: Header) -> Detection:
    """The family of a header.

    Rules in the order of huggingface_guess 84826248 (detection.py, model_list.py), the commit Forge dfdcbab pins,
    with Forge's own addition for Chroma (backend/loader.py).
    """
    tensors = header.tensors
    bare = "\0model.diffusion_model" not in "\0" + "\0".join(tensors)
    prefix = "" if bare else UNET_PREFIX
    found = None
    if any(prefix + key in tensors for key in _TELLING):  # most files of a library are LoRAs: they end here
        shapes = {name[len(prefix) :]: t.shape for name, t in tensors.items() if name.startswith(prefix)}
        found = _unet_family(shapes, tensors) if len(shapes) > FEW else None
    if found is None and not bare and sum(name.startswith(UNET_PREFIX) for name in tensors) > FEW:
        return Detection("unknown", None, bare, None)  # a checkpoint, whatever VAE it has: its UNet is broken
    if found is None:
        family, channels = _looks_like(tensors)
        return Detection(family, None, bare, channels)
    base, mark = found
    if base is None:
        return Detection(mark, None, bare, None)
    return Detection(f"{base}-{mark}" if mark else base, base, bare, LATENT_CHANNELS[base])


def describe(header: Header) -> tuple[str, int | None, Mapping[str, int]]:
    """Family, latent channels, and bytes as stored in the file of each part Forge would build from it.

    The bytes are keyed by the class names Forge prints: JointTextEncoder, KModel, IntegratedAutoencoderKL. A file
    that holds one part only (a VAE, a text encoder) has that key; anything else (a LoRA) has none.
    """
    found = detect(header)
    if found.base is not None:
        sizes: dict[Part, int] = {TEXT_ENCODER: 0, UNET: 0, VAE: 0}
        for name, tensor in header.tensors.items():
            if (part := part_of(found.base, name, bare=found.bare)) is not None:
                sizes[part] += tensor.nbytes
        return found.family, found.latent_channels, {part: size for part, size in sizes.items() if size}
    total = sum(tensor.nbytes for tensor in header.tensors.values())
    if found.family == "vae":
        return found.family, found.latent_channels, {VAE: total}
    if found.family in {"clip_l", "clip_g", "clip_h", "t5"}:
        return found.family, None, {TEXT_ENCODER: total}
    return found.family, None, {}


def part_of(base: Base, name: str, *, bare: bool) -> Part | None:
    """The part of a checkpoint a tensor belongs to, or None where Forge ignores it."""
    if bare or name.startswith(UNET_PREFIX):
        return UNET
    if name.startswith(VAE_PREFIX[base]):
        return VAE
    return TEXT_ENCODER if name.startswith(TEXT_PREFIXES[base]) else None


Shapes = Mapping[str, tuple[int, ...]]
Found = tuple[Base | None, str]


def _unet_family(shapes: Shapes, tensors: Tensors) -> Found | None:
    """(family, mark of the input channels), (None, name) for one Forge knows but refuses, None for no UNet."""
    if _SD3 in shapes:
        return _sd3(shapes)
    for key, name in _REFUSED.items():
        if key in shapes:
            return (None, name) if _matches(name, shapes) else None
    if _FLUX in shapes:
        if "guidance_in.in_layer.weight" in shapes:
            return "flux-dev", ""
        return ("chroma" if "distilled_guidance_layer.layers.0.in_layer.bias" in shapes else "flux-schnell"), ""
    return _ldm(shapes, tensors)


_REFUSED = {
    "clf.1.weight": "stable-cascade",
    "transformer.rotary_pos_emb.inv_freq": "stable-audio",
    "double_layers.0.attn.w1q.weight": "auraflow",
    "mlp_t5.0.weight": "hunyuan-dit",
}
"""Families huggingface_guess knows and Forge dfdcbab has no engine for, by the tensor that tells them."""

_SD3, _FLUX, _LDM = (
    "joint_blocks.0.context_block.attn.qkv.weight",
    "double_blocks.0.img_attn.norm.key_norm.scale",
    "input_blocks.0.0.weight",
)
_TELLING = (_SD3, *_REFUSED, _FLUX, _LDM)
"""A UNet has one of these tensors."""


def _matches(name: str, shapes: Shapes) -> bool:
    """Whether huggingface_guess finds a model for what it took for one of these (model_list.py)."""
    if name == "auraflow":
        return shapes.get("cond_seq_linear.weight", ())[1:2] == (2048,)
    return name != "stable-cascade" or bool({"clip_txt_mapper.weight", "clip_mapper.weight"} & shapes.keys())


def _sd3(shapes: Shapes) -> Found | None:
    embedder = shapes.get("x_embedder.proj.weight", ())
    if len(embedder) != 4 or embedder[1] != 16:
        return None
    if "joint_blocks.0.x_block.attn2.qkv.weight" in shapes:
        return "sd3.5-medium", ""
    return ("sd3.5-large" if embedder[0] == 38 * 64 else "sd3"), ""


_SDXL_DEPTHS = ([0, 0, 2, 2, 10, 10], [0, 0, 2, 2, 4, 4], [0, 2, 5], [0, 2, 6], [0, 0, 1, 1, 2, 2])
"""Transformer depths of SDXL, SSD-1B, KOALA-700M, KOALA-1B and Segmind Vega."""


def _ldm(shapes: Shapes, tensors: Tensors) -> Found | None:
    channels, in_channels = (*shapes[_LDM], 0, 0)[:2]
    label = shapes.get("label_emb.0.0.weight")
    adm = label[1] if label and len(label) > 1 else None
    depth, first = _transformer_depths(shapes)
    context = (*shapes.get(f"{first}transformer_blocks.0.attn2.to_k.weight", ()), 0, 0)[1] if first else 0
    linear = len(shapes.get(f"{first}proj_in.weight", ())) == 2
    if any(f"{first}time_{kind}.0.attn1.to_q.weight" in shapes for kind in ("stack", "mix_blocks")):
        return None, "stable-video-diffusion"
    mark = {4: "", 8: "ip2p", 9: "inpaint"}.get(in_channels, f"{in_channels}-channel")
    if (context, channels, linear, adm) == (768, 320, False, None):
        zero123 = in_channels == 8 and {"cc_projection.weight", "cc_projection.bias"} <= tensors.keys()
        return (None, "stable-zero123") if zero123 else ("sd15", mark)
    if (context, channels, linear) == (1024, 320, True) and adm in (None, 1536, 2048):
        return "sd2", mark
    if (context, channels, linear, adm) == (1280, 384, True, 2560) and depth == [0, 0, 4, 4, 4, 4, 0, 0]:
        return "sdxl-refiner", mark
    if (context, channels, linear, adm) == (2048, 320, True, 2816) and depth in _SDXL_DEPTHS:
        return "sdxl", mark
    return None


_BLOCK = re.compile(r"input_blocks\.(\d+)\.(?:0\.(in_layers\.0\.weight)$|1\.transformer_blocks\.(\d+)\.)?")


def _transformer_depths(shapes: Shapes) -> tuple[list[int], str]:
    """Transformer blocks after each residual block of the encoder, and the prefix of the first one that has any.

    Blocks count from 0 up to the first that is not there.
    """
    residual: set[int] = set()
    blocks: dict[int, set[int]] = {}
    there: set[int] = set()
    for name in shapes:
        if match := _BLOCK.match(name):
            index = int(match[1])
            there.add(index)
            if match[2]:
                residual.add(index)
            elif match[3]:
                blocks.setdefault(index, set()).add(int(match[3]))
    count = next(index for index in range(len(there) + 1) if index not in there)
    within = [index for index in sorted(residual) if index < count]
    first = next((index for index in within if index in blocks), None)
    return [len(blocks.get(index, ())) for index in within], "" if first is None else f"input_blocks.{first}.1."


def _looks_like(tensors: Tensors) -> tuple[str, int | None]:
    """What a file without a UNet Forge knows looks like, and the latent channels of a VAE."""
    for key in _VAE_KEYS:
        if key in tensors and len(tensors[key].shape) == 4:
            return "vae", tensors[key].shape[1]
    for key in _T5_KEYS:
        if key in tensors:
            return "t5", None
    for key in _CLIP_KEYS:
        if key in tensors and tensors[key].shape:
            return _CLIP_BY_WIDTH.get(tensors[key].shape[0], "unknown"), None
    for family, pattern in _LOOKS:
        if any(map(pattern.search, tensors)):
            return family, None
    return ("embedding" if _is_embedding(tensors.values()) else "unknown"), None


_VAE_KEYS = ("decoder.conv_in.weight", "first_stage_model.decoder.conv_in.weight", "vae.decoder.conv_in.weight")
_T5_KEYS = ("encoder.block.0.layer.0.SelfAttention.k.weight", "enc.blk.0.attn_k.weight")
_CLIP_KEYS = (
    "text_model.encoder.layers.0.layer_norm1.bias",
    "transformer.resblocks.0.ln_1.bias",
    "cond_stage_model.transformer.text_model.encoder.layers.0.layer_norm1.bias",
    "conditioner.embedders.0.transformer.text_model.encoder.layers.0.layer_norm1.bias",
    "conditioner.embedders.1.model.transformer.resblocks.0.ln_1.bias",
    "text_encoders.clip_l.transformer.text_model.encoder.layers.0.layer_norm1.bias",
    "text_encoders.clip_g.transformer.text_model.encoder.layers.0.layer_norm1.bias",
    "cond_stage_model.model.ln_final.weight",
)
"""The tensors Forge tells a text encoder module by (backend/loader.py, replace_state_dict)."""
_CLIP_BY_WIDTH = {768: "clip_l", 1024: "clip_h", 1280: "clip_g"}

_LOOKS = (
    ("lora", re.compile(r"lora_(?:up|down|A|B|mid)\b|\.lora\.|hada_w1|lokr_w|oft_(?:blocks|diag)|\.dora_scale$")),
    ("controlnet", re.compile(r"^control_model\.|controlnet_|^zero_convs\.|^lllite_unet|^adapter\.body\.")),
    ("ip-adapter", re.compile(r"^ip_adapter\.|^image_proj\.")),
    ("motion-module", re.compile(r"motion_modules\.")),
    ("taesd", re.compile(r"^(?:taesd_)?(?:decoder|encoder)?\.?\d+\.conv\.[024]\.weight$|^decoder\.layers\.\d")),
    (
        "upscaler",
        re.compile(r"RRDB_trunk|\.rdb\d\.conv|RDB\d\.conv|residual_group|^conv_first\.|^model\.0\.weight$|^body\.\d"),
    ),
    ("clip-vision", re.compile(r"^vision_model\.|^visual\.")),
    ("diffusers-unet", re.compile(r"^down_blocks\.\d+\.resnets")),
    ("diffusers-transformer", re.compile(r"^(?:single_)?transformer_blocks\.\d+\.")),
)
"""Files that are no checkpoint, by a tensor name each kind has; the first match wins."""


def _is_embedding(tensors: Iterable[Tensor]) -> bool:
    """A textual inversion: a handful of vectors of a text encoder's width (768, 1024, 1280)."""
    shapes = [tensor.shape for tensor in tensors]
    return 0 < len(shapes) <= 4 and all(len(shape) in {1, 2} and shape[-1] in _CLIP_BY_WIDTH for shape in shapes)
