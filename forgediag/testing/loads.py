"""Checkpoints and modules for load tests, good and bad: names and shapes, small enough to build by the hundred."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from forgediag.testing import architectures as nets
from forgediag.testing.architectures import Shapes
from forgediag.testing.headers import UNET

_SD = ((1, 1), (2, 1), (4, 1), (4, 0))
_WANTED = re.compile(
    r"^(?:input_blocks\.\d+\.0\.(?:out_layers\.3\.weight|op\.weight|weight|bias)|label_emb\.0\.0"
    r"|(?:in|out)put_blocks\.\d+\.0\.in_layers\.0\."
    r"|(?:(?:in|out)put_blocks\.\d+|middle_block)\.1\.(?:norm\.|proj_in\.|transformer_blocks\.\d+\.(?:norm1\.|attn2\.to_k)))"
)
"""The tensors of a UNet that Forge needs to tell its family, and a few more."""


def _told(shapes: Shapes) -> Shapes:
    return {name: shape for name, shape in shapes.items() if _WANTED.match(name)}


def _norms(shapes: Shapes) -> Shapes:
    """The vectors alone: all a Flux or SD3 needs beside the tensors it is told by."""
    marks: tuple[str, ...] = (
        "x_embedder.proj.weight",
        "joint_blocks.0.context_block.attn.qkv.weight",
        "guidance_in.in_layer.weight",
    )
    marks += ("pos_embed", "context_embedder.weight", "final_layer.linear.weight", "y_embedder.mlp.0.weight")
    return {name: shape for name, shape in shapes.items() if len(shape) == 1 or name in marks}


UNETS: Mapping[str, Callable[[], Shapes]] = {
    "sd15": lambda: _told(nets.unet(320, _SD, 768, 1, linear=False)),
    "sd2": lambda: _told(nets.unet(320, _SD, 1024, 1)),
    "sdxl": lambda: _told(nets.unet(320, ((1, 0), (2, 2), (4, 10)), 2048, 10, adm=2816)),
    "refiner": lambda: _told(nets.unet(384, ((1, 0), (2, 4), (4, 4), (4, 0)), 1280, 4, adm=2560)),
    "sd3": lambda: _norms(nets.mmdit(24, positions=36864, norms=False)),
    "flux": lambda: _norms(nets.flux()),
    "schnell": lambda: _norms(nets.flux(guidance=False)),
    "chroma": lambda: _norms(nets.flux(chroma=True)),
}


def _clip(wide: int, layers: int) -> Shapes:
    """A CLIP with its Linears: a few MB each, never read."""
    return nets.clip(wide, layers)


def _t5() -> Shapes:
    return {name: shape for name, shape in nets.t5().items() if len(shape) == 1 or ".SelfAttention.k." in name}


_TEXTS: Mapping[str, Callable[[], Shapes]] = {
    "sd15": lambda: under("cond_stage_model.transformer.", _clip(768, 12)),
    "sd2": lambda: under("cond_stage_model.model.", nets.open_clip(1024, 24)),
    "sdxl": lambda: (
        under("conditioner.embedders.0.transformer.", _clip(768, 12))
        | under("conditioner.embedders.1.model.", nets.open_clip(1280, 32))
    ),
    "refiner": lambda: under("conditioner.embedders.0.model.", nets.open_clip(1280, 32)),
    "sd3": lambda: (
        under("text_encoders.clip_l.transformer.", _clip(768, 12))
        | under("text_encoders.clip_g.transformer.", nets.clip(1280, 32, projection=True))
        | under("text_encoders.t5xxl.transformer.", _t5())
    ),
    "flux": lambda: (
        under("text_encoders.clip_l.transformer.", _clip(768, 12)) | under("text_encoders.t5xxl.transformer.", _t5())
    ),
}
_ALSO = {"schnell": "flux", "chroma": "flux"}
_VAE_PREFIX = {"flux": "vae.", "schnell": "vae.", "chroma": "vae."}


def under(prefix: str, shapes: Shapes) -> Shapes:
    """The same tensors with a prefix."""
    return {prefix + name: shape for name, shape in shapes.items()}


def checkpoint(name: str) -> Shapes:
    """A checkpoint by its family and what it holds: "sd15", "sdxl+vae" with its own VAE, "flux-text", "flux-bare"."""
    family, _, plus = name.partition("+")
    family, _, minus = family.partition("-")
    if minus == "bare":
        return UNETS[family]()
    made = under(UNET, UNETS[family]())
    if minus != "text":
        made |= _TEXTS[_ALSO.get(family, family)]()
    if plus:
        own = nets.vae(16 if family in {"sd3", "flux", "schnell", "chroma"} else 4)
        made |= under(_VAE_PREFIX.get(family, "first_stage_model."), own)
    return made


def module(name: str) -> Shapes:
    """A module by name; the names are the keys of `MODULES`.

    Raises:
        KeyError: none is called so.
    """
    return MODULES[name]()


def _diffusers(channels: int, attention: Mapping[str, str], *, matrices: bool) -> Shapes:
    """A VAE in diffusers' layout: `attention` names its parts, as matrices or as convolutions."""
    made: Shapes = {}
    for name, shape in nets.vae(channels).items():
        new = name.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")
        new = re.sub(r"mid\.block_(\d)", lambda m: f"mid_block.resnets.{int(m[1]) - 1}", new)
        new = re.sub(r"down\.(\d)\.block", r"down_blocks.\1.resnets", new)
        new = re.sub(r"down\.(\d)\.downsample", r"down_blocks.\1.downsamplers.0", new)
        new = re.sub(r"up\.(\d)\.block", lambda m: f"up_blocks.{3 - int(m[1])}.resnets", new)
        new = re.sub(r"up\.(\d)\.upsample", lambda m: f"up_blocks.{3 - int(m[1])}.upsamplers.0", new)
        if match := re.match(r"(.*)mid\.attn_1\.(\w+)\.(\w+)", new):
            new = f"{match[1]}mid_block.attentions.0.{attention[match[2]]}.{match[3]}"
            shape = shape[:2] if matrices and match[2] != "norm" else shape  # noqa: PLW2901 - this one alone
        made[new] = shape
    return made


_OLD = {"norm": "group_norm", "q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"}
_NEW = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def _only(shapes: Shapes, pattern: str) -> Shapes:
    return {name: shape for name, shape in shapes.items() if re.search(pattern, name)}


def _not(shapes: Shapes, pattern: str) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not re.search(pattern, name)}


def _first(shapes: Shapes, count: int) -> Shapes:
    """The decoder's first convolution and so many others less one."""
    mark = "decoder.conv_in.weight"
    rest = [name for name in sorted(shapes) if name != mark][: count - 1]
    return {name: shapes[name] for name in (mark, *rest)}


def _halved(shapes: Shapes) -> Shapes:
    return {name: tuple(n // 2 if n >= 128 else n for n in shape) for name, shape in shapes.items()}


_ODD = {
    "loss.logvar": (1,),
    "loss.discriminator.main.0.weight": (4, 3, 4, 4),
    "epoch": (),
    "zeta": (2,),
    "alpha.decay": (1,),
    "encoder.extra": (3,),
    "encoder.down.0.attn.1.norm.weight": (8,),
    "encoder.mid.block_1.swish.beta": (1,),
    "decoder.up.0.block.0.temb_proj.weight": (4, 4),
    "decoder.up.4.block.0.norm1.weight": (4,),
    "decoder.conv_in.lora.weight": (4, 4),
    "quant_conv.scale": (1,),
    "model_ema.num_updates": (),
}

MODULES: Mapping[str, Callable[[], Shapes]] = {
    **{f"vae-{n}": lambda n=n: nets.vae(n) for n in (3, 4, 8, 16, 32)},  # type: ignore[misc]  # bound now
    "vae-4-no-quant": lambda: _not(nets.vae(4), r"^(post_)?quant_conv"),
    "vae-16-quant": lambda: (
        nets.vae(16)
        | {"quant_conv.weight": (32, 32, 1, 1), "quant_conv.bias": (32,)}
        | {"post_quant_conv.weight": (16, 16, 1, 1), "post_quant_conv.bias": (16,)}
    ),
    "vae-4-decoder": lambda: _only(nets.vae(4), r"^(decoder|post_quant)"),
    "vae-16-decoder": lambda: _only(nets.vae(16), r"^decoder"),
    "vae-4-encoder": lambda: _only(nets.vae(4), r"^(encoder|quant)"),
    "vae-4-17-keys": lambda: _first(nets.vae(4), 17),
    "vae-4-16-keys": lambda: _first(nets.vae(4), 16),
    "vae-16-17-keys": lambda: _first(nets.vae(16), 17),
    "vae-4-extracted": lambda: under("first_stage_model.", nets.vae(4)),
    "vae-8-extracted": lambda: under("first_stage_model.", nets.vae(8)),
    "vae-16-extracted": lambda: under("first_stage_model.", nets.vae(16)),
    "vae-4-partly-extracted": lambda: under("first_stage_model.", _only(nets.vae(4), r"^decoder")),
    "vae-4-prefixed": lambda: under("vae.", nets.vae(4)),
    "vae-16-prefixed": lambda: under("vae.", nets.vae(16)),
    "vae-4-odd": lambda: nets.vae(4) | _ODD,
    "vae-16-odd": lambda: _ODD | nets.vae(16),
    "vae-4-old-diffusers": lambda: _diffusers(4, _OLD, matrices=True),
    "vae-4-diffusers": lambda: _diffusers(4, _NEW, matrices=True),
    "vae-4-diffusers-conv": lambda: _diffusers(4, _NEW, matrices=False),
    "vae-16-diffusers": lambda: _diffusers(16, _NEW, matrices=True),
    "vae-16-diffusers-conv": lambda: _diffusers(16, _OLD, matrices=False),
    "vae-8-diffusers": lambda: _diffusers(8, _NEW, matrices=True),
    "vae-4-half": lambda: _halved(nets.vae(4)),
    "vae-16-half": lambda: _halved(nets.vae(16)),
    "vae-4-three-levels": lambda: _not(nets.vae(4), r"(down|up)\.3\."),
    "vae-4-alpha": lambda: (
        nets.vae(4) | {"encoder.conv_in.weight": (128, 4, 3, 3), "decoder.conv_out.weight": (4, 128, 3, 3)}
    ),
    "vae-4-linear-attention": lambda: nets.vae(4) | {f"encoder.mid.attn_1.{part}.weight": (512, 512) for part in "qkv"},
    "vae-4-no-norms": lambda: _not(nets.vae(4), r"norm_out"),
    "vae-16-no-biases": lambda: _not(nets.vae(16), r"\.bias$"),
    "vae-4-scalars": lambda: nets.vae(4) | {"decoder.norm_out.weight": (), "decoder.conv_out.bias": (1,)},
    "vae-video": lambda: (
        nets.vae(16) | {"decoder.conv_in.weight": (512, 16, 3, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3, 3)}
    ),
    "taesd": lambda: {f"decoder.{i}.conv.{j}.weight": (64, 64, 3, 3) for i in range(1, 12) for j in (0, 2, 4)},
    "whole-sd15": lambda: checkpoint("sd15+vae"),
    "clip_l": lambda: nets.clip(768, 12),
    "clip_l-projection": lambda: nets.clip(768, 12, projection=True),
    "clip_l-short": lambda: _not(nets.clip(768, 12), r"layers\.11\."),
    "clip_l-thin": lambda: _only(nets.clip(768, 12), r"layers\.0\.|embeddings"),
    "clip_l-vocabulary": lambda: nets.clip(768, 12) | {"text_model.embeddings.token_embedding.weight": (49409, 768)},
    "clip_l-long": lambda: nets.clip(768, 12) | {"text_model.embeddings.position_embedding.weight": (248, 768)},
    "clip_l-open": lambda: nets.open_clip(768, 12),
    "clip_g": lambda: nets.clip(1280, 32, projection=True),
    "clip_g-no-projection": lambda: nets.clip(1280, 32),
    "clip_g-open": lambda: under("conditioner.embedders.1.model.", nets.open_clip(1280, 32)),
    "clip_h": lambda: under("cond_stage_model.model.", nets.open_clip(1024, 24)),
    "clip_h-plain": lambda: nets.clip(1024, 24),
    "t5": _t5,
    "t5-large": lambda: {
        name: tuple({4096: 1024, 10240: 2816, 64: 16}.get(n, n) for n in shape) for name, shape in _t5().items()
    },
    "t5-umt5": lambda: _t5() | {"shared.weight": (256384, 4096)},
    "t5-thin": lambda: _only(_t5(), r"block\.[01]\."),
    "empty": dict,
}
"""What users select as a module, and what they select by mistake. Channels first: "vae-16" is Flux's."""
