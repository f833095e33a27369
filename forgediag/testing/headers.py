"""Headers of the model files people use with Forge, built from the architectures: `header("flux:gguf-Q8_0")`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from forgediag.formats.gguf import BLOCKS
from forgediag.model import FileFormat, Header, Tensor
from forgediag.testing import architectures as nets
from forgediag.testing.architectures import Shapes

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "U8": 1, "I64": 8}
SPELLINGS = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "fp8": "F8_E4M3", "e5m2": "F8_E5M2"}

UNET = "model.diffusion_model."


def tensor(dtype: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a type as files spell it ("F16", "GGUF:Q8_0")."""
    count = math.prod(shape)
    if dtype.startswith("GGUF:"):
        block, size = BLOCKS[dtype[5:]]
        return Tensor(dtype, shape, count // block * size)
    return Tensor(dtype, shape, count * SIZES[dtype])


def plain(shapes: Shapes, dtype: str, prefix: str = "") -> dict[str, Tensor]:
    """Every tensor in one type."""
    return {prefix + name: tensor(dtype, shape) for name, shape in shapes.items()}


def quantised(shapes: Shapes, kind: str, rest: str = "F16") -> dict[str, Tensor]:
    """GGUF as city96's tools make it: block matrices quantised, the rest in F16 (or F32)."""
    blocks = ("double_blocks.", "single_blocks.")
    block, _ = BLOCKS[kind]
    return {
        name: tensor(
            f"GGUF:{kind}" if len(shape) == 2 and name.startswith(blocks) and shape[1] % block == 0 else f"GGUF:{rest}",
            shape,
        )
        for name, shape in shapes.items()
    }


def every_matrix(shapes: Shapes, kind: str) -> dict[str, Tensor]:
    """GGUF with every matrix quantised and the rest in F32."""
    return {name: tensor(f"GGUF:{kind}" if len(shape) == 2 else "GGUF:F32", shape) for name, shape in shapes.items()}


def four_bit(shapes: Shapes, prefix: str = "", kind: str = "nf4") -> dict[str, Tensor]:
    """The 4-bit weights of bitsandbytes with their companions; biases and norms in BF16."""
    made: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if len(shape) != 2:
            made[prefix + name] = tensor("BF16", shape)
            continue
        count = math.prod(shape)
        made[prefix + name] = tensor("U8", (count // 2, 1))
        made[f"{prefix}{name}.absmax"] = tensor("F32", (count // 64,))
        made[f"{prefix}{name}.quant_map"] = tensor("F32", (16,))
        made[f"{prefix}{name}.quant_state.bitsandbytes__{kind}"] = tensor("U8", (80,))
    return made


def scaled(shapes: Shapes, prefix: str = "", rest: str = "F8_E4M3") -> dict[str, Tensor]:
    """fp8 scaled: matrices in fp8 with a `scale_weight` each."""
    made: dict[str, Tensor] = {f"{prefix}scaled_fp8": tensor("F8_E4M3", (2,))}
    for name, shape in shapes.items():
        made[prefix + name] = tensor("F8_E4M3" if len(shape) == 2 else rest, shape)
        if len(shape) == 2:
            made[prefix + name.replace(".weight", ".scale_weight")] = tensor("F32", (1,))
    return made


_SD = ((1, 1), (2, 1), (4, 1), (4, 0))
SD15: Shapes = nets.unet(320, _SD, 768, 1, linear=False)


def _stable(family: str, dtype: str, text: str) -> dict[str, Tensor]:
    position = {"text_model.embeddings.position_ids": tensor("I64", (1, 77))}
    made = plain(_UNETS[family](), dtype, UNET) | plain(nets.vae(4), text, "first_stage_model.")
    if family in {"sd15", "sd15-inpaint", "sd15-ip2p"}:
        found = plain(nets.clip(768, 12), text) | position
        return made | {f"cond_stage_model.transformer.{name}": t for name, t in found.items()}
    if family == "sd2":
        return made | plain(nets.open_clip(1024, 24), text, "cond_stage_model.model.")
    if family == "refiner":
        return made | plain(nets.open_clip(1280, 32), text, "conditioner.embedders.0.model.")
    first = plain(nets.clip(768, 12), text) | position
    made |= {f"conditioner.embedders.0.transformer.{name}": t for name, t in first.items()}
    return made | plain(nets.open_clip(1280, 32), text, "conditioner.embedders.1.model.")


_UNETS: Mapping[str, Callable[[], Shapes]] = {
    "sd15": lambda: SD15,
    "sd15-inpaint": lambda: nets.unet(320, _SD, 768, 1, linear=False, channels=9),
    "sd15-ip2p": lambda: nets.unet(320, _SD, 768, 1, linear=False, channels=8),
    "sd2": lambda: nets.unet(320, _SD, 1024, 1),
    "sdxl": lambda: nets.unet(320, ((1, 0), (2, 2), (4, 10)), 2048, 10, adm=2816),
    "sdxl-inpaint": lambda: nets.unet(320, ((1, 0), (2, 2), (4, 10)), 2048, 10, adm=2816, channels=9),
    "refiner": lambda: nets.unet(384, ((1, 0), (2, 4), (4, 4), (4, 0)), 1280, 4, adm=2560),
}

_TRANSFORMERS: Mapping[str, Callable[[], Shapes]] = {
    "flux": nets.flux,
    "flux-schnell": lambda: nets.flux(guidance=False),
    "chroma": lambda: nets.flux(chroma=True),
}

_SD3: Mapping[str, Callable[[], Shapes]] = {
    "sd3m": lambda: nets.mmdit(24, positions=36864, norms=False),
    "sd35m": lambda: nets.mmdit(24, positions=147456, norms=True, twice=range(13)),
    "sd35l": lambda: nets.mmdit(38, positions=36864, norms=True),
}

_MODULES: Mapping[str, Callable[[], Shapes]] = {
    "ae": lambda: nets.vae(16),
    "vae": lambda: nets.vae(4),
    "clip_l": lambda: nets.clip(768, 12),
    "clip_l_proj": lambda: nets.clip(768, 12, projection=True),
    "clip_g": lambda: nets.clip(1280, 32, projection=True),
    "t5": nets.t5,
}

_CITY96 = {
    "encoder.block": "enc.blk",
    "shared": "token_embd",
    "encoder.final_layer_norm": "enc.output_norm",
    "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
    "layer.0.SelfAttention.": "attn_",
    "layer.0.layer_norm": "attn_norm",
    "layer.1.DenseReluDense.wi_1": "ffn_up",
    "layer.1.DenseReluDense.wi_0": "ffn_gate",
    "layer.1.DenseReluDense.wo": "ffn_down",
    "layer.1.layer_norm": "ffn_norm",
}


def _t5_gguf(kind: str) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for name, shape in nets.t5().items():
        plain_one = len(shape) == 1 or "relative_attention_bias" in name
        for old, new in _CITY96.items():
            name = name.replace(old, new)  # noqa: PLW2901 - each name is rewritten in turn
        made[name] = tensor("GGUF:F32" if plain_one else f"GGUF:{kind}", shape)
    return made


def _transformer(shapes: Shapes, kind: str, prefix: str) -> dict[str, Tensor]:
    if kind.startswith("gguf-all-"):
        return every_matrix(shapes, kind[9:])
    if kind.startswith("gguf-"):
        quant, _, rest = kind[5:].partition("+")
        return quantised(shapes, quant, rest.upper() or "F16")
    if kind in {"nf4", "fp4"}:
        return four_bit(shapes, prefix, kind)
    if kind == "scaled":
        return scaled(shapes, prefix)
    return plain(shapes, SPELLINGS[kind], prefix)


def _all_in_one(kind: str) -> dict[str, Tensor]:
    made = _transformer(nets.flux(), kind, UNET) | plain(nets.vae(16), "BF16", "vae.")
    made |= plain(nets.clip(768, 12, projection=True), "F16", "text_encoders.clip_l.transformer.")
    made |= plain(nets.t5(), "F8_E4M3", "text_encoders.t5xxl.transformer.")
    return made | {f"text_encoders.{name}.logit_scale": tensor("F32", ()) for name in ("clip_l", "t5xxl")}


@lru_cache(maxsize=64)
def header(name: str) -> Header:
    """A header by name: a model, and after a colon its type ("sdxl", "sd15:fp32", "flux:nf4", "t5:gguf-Q8_0").

    Raises:
        KeyError: a name that is not built here.
    """
    family, _, kind = name.partition(":")
    form: FileFormat = "gguf" if kind.startswith("gguf") else "safetensors"
    if family in _UNETS:
        text = "F16" if kind == "bf16" else SPELLINGS[kind or "fp16"]
        made = _stable(family, SPELLINGS[kind or "fp16"], text)
    elif family in _TRANSFORMERS:
        made = _transformer(_TRANSFORMERS[family](), kind or "bf16", "")
    elif family in _SD3:
        made = plain(_SD3[family](), SPELLINGS[kind or "fp16"], UNET) | plain(nets.vae(16), "F16", "first_stage_model.")
    elif family == "flux-aio":
        made = _all_in_one(kind)
    elif form == "gguf":
        made = _t5_gguf(kind[5:])
    else:
        made = plain(_MODULES[family](), SPELLINGS[kind or "fp16"])
    return Header(form, made)
