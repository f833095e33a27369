"""The tensors of IntegratedAutoencoderKL as a function of its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forgediag.forge.families import LATENT_CHANNELS, Base
from forgediag.forge.state_dict import EMPTY, Network, Shape, affine


@dataclass(frozen=True, slots=True)
class Config:
    """What a VAE's `config.json` fixes (Forge dfdcbab, backend/huggingface/*/vae/config.json)."""

    latent_channels: int
    quant_conv: bool = True
    post_quant_conv: bool = True
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    in_channels: int = 3
    out_channels: int = 3


CONFIGS: Mapping[Base, Config] = {
    base: Config(channels, quant_conv=channels == 4, post_quant_conv=channels == 4)
    for base, channels in LATENT_CHANNELS.items()
}
"""SD1 to SDXL: 4 channels and both quantising convolutions; SD3, Flux and Chroma: 16 and neither."""


def network(config: Config) -> Network:
    """The module tree, its children in the order of torch's registration (Forge dfdcbab, backend/nn/vae.py)."""
    channels = config.latent_channels
    parts = {"encoder": _encoder(config), "decoder": _decoder(config)}
    if config.quant_conv:
        parts["quant_conv"] = affine(2 * channels, 2 * channels, 1, 1)
    if config.post_quant_conv:
        parts["post_quant_conv"] = affine(channels, channels, 1, 1)
    return Network(children=parts)


def tensors(config: Config) -> dict[str, Shape]:
    """Name and shape of every tensor, in the order of the state dict."""
    return dict(_walk(network(config), ""))


def _walk(module: Network, prefix: str) -> list[tuple[str, Shape]]:
    found = [(prefix + name, shape) for name, shape in module.parameters.items()]
    for name, child in module.children.items():
        found += _walk(child, f"{prefix}{name}.")
    return found


def _encoder(config: Config) -> Network:
    sizes = config.block_out_channels
    last = len(sizes) - 1
    down: dict[str, Network] = {}
    for level, (inside, outside) in enumerate(zip((sizes[0], *sizes), sizes, strict=False)):
        resample = {"downsample": _resample(outside)} if level < last else {}
        down[str(level)] = _level(inside, outside, config.layers_per_block, resample)
    return Network(
        children={
            "conv_in": affine(sizes[0], config.in_channels, 3, 3),
            "down": Network(children=down),
            "mid": _middle(sizes[-1]),
            "norm_out": affine(sizes[-1]),
            "conv_out": affine(2 * config.latent_channels, sizes[-1], 3, 3),
        }
    )


def _decoder(config: Config) -> Network:
    sizes = config.block_out_channels
    up: dict[str, Network] = {}
    for level, (outside, inside) in enumerate(zip(sizes, (*sizes[1:], sizes[-1]), strict=True)):
        resample = {"upsample": _resample(outside)} if level else {}
        up[str(level)] = _level(inside, outside, config.layers_per_block + 1, resample)
    return Network(
        children={
            "conv_in": affine(sizes[-1], config.latent_channels, 3, 3),
            "mid": _middle(sizes[-1]),
            "up": Network(children=up),
            "norm_out": affine(sizes[0]),
            "conv_out": affine(config.out_channels, sizes[0], 3, 3),
        }
    )


def _level(inside: int, outside: int, layers: int, resample: Mapping[str, Network]) -> Network:
    blocks = {str(index): _residual(outside if index else inside, outside) for index in range(layers)}
    return Network(children={"block": Network(children=blocks), "attn": EMPTY, **resample})


def _resample(width: int) -> Network:
    return Network(children={"conv": affine(width, width, 3, 3)})


def _middle(width: int) -> Network:
    attention = {part: affine(width, width, 1, 1) for part in ("q", "k", "v", "proj_out")}
    return Network(
        children={
            "block_1": _residual(width, width),
            "attn_1": Network(children={"norm": affine(width), **attention}),
            "block_2": _residual(width, width),
        }
    )


def _residual(inside: int, outside: int) -> Network:
    shortcut = {"nin_shortcut": affine(outside, inside, 1, 1)} if inside != outside else {}
    return Network(
        children={
            "swish": EMPTY,
            "norm1": affine(inside),
            "conv1": affine(outside, inside, 3, 3),
            "norm2": affine(outside),
            "dropout": EMPTY,
            "conv2": affine(outside, outside, 3, 3),
            **shortcut,
        }
    )
