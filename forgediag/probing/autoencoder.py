"""Forge's IntegratedAutoencoderKL, its way in and its way out, by the names of its tensors."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (numpy's stubs leave `reshape` and `view` partly unknown)

from __future__ import annotations

from itertools import count, takewhile

from forgediag.probing.layers import Layers, Watch, doubled
from forgediag.probing.weights import Array, Weights


def decode(weights: Weights, latent: Array, watch: Watch) -> Array:
    """A latent of channels x h x w as a picture of 3 x 8h x 8w.

    Raises:
        KeyError: a tensor is missing.
    """
    layers = Layers(weights, watch)
    x = layers.convolution("post_quant_conv", latent) if "post_quant_conv.weight" in weights else latent
    x = layers.convolution("decoder.conv_in", x)
    x = _middle(layers, "decoder.mid", x)
    for level in reversed(range(_many(weights, "decoder.up.{}.block.0"))):
        for block in range(_many(weights, f"decoder.up.{level}.block.{{}}")):
            x = layers.residual(f"decoder.up.{level}.block.{block}", x)
        if level:
            x = layers.convolution(f"decoder.up.{level}.upsample.conv", doubled(x))
    return layers.convolution("decoder.conv_out", layers.normalised("decoder.norm_out", x))


def encode(weights: Weights, picture: Array, watch: Watch) -> Array:
    """A picture of 3 x 8h x 8w as means and log-variances of 2 x channels x h x w.

    Raises:
        KeyError: a tensor is missing.
    """
    layers = Layers(weights, watch)
    x = layers.convolution("encoder.conv_in", picture)
    levels = _many(weights, "encoder.down.{}.block.0")
    for level in range(levels):
        for block in range(_many(weights, f"encoder.down.{level}.block.{{}}")):
            x = layers.residual(f"encoder.down.{level}.block.{block}", x)
        if level < levels - 1:
            x = layers.convolution(f"encoder.down.{level}.downsample.conv", x, stride=2)
    x = _middle(layers, "encoder.mid", x)
    x = layers.convolution("encoder.conv_out", layers.normalised("encoder.norm_out", x))
    return layers.convolution("quant_conv", x) if "quant_conv.weight" in weights else x


def _middle(layers: Layers, name: str, x: Array) -> Array:
    x = layers.residual(f"{name}.block_1", x)
    x = layers.attention(f"{name}.attn_1", x)
    return layers.residual(f"{name}.block_2", x)


def _many(weights: Weights, name: str) -> int:
    return sum(1 for _ in takewhile(lambda n: f"{name.format(n)}.norm1.weight" in weights, count()))
