"""The names Forge gives a VAE in diffusers' layout, and the shapes its conversion makes."""

from __future__ import annotations

from forgediag.forge.state_dict import StateDict
from forgediag.model import Tensor

MARK = "decoder.up_blocks.0.resnets.0.norm1.weight"
"""The tensor Forge tells diffusers' layout by (Forge dfdcbab, backend/loader.py)."""

_LEVELS = 4
_RENAMED = (
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    ("mid_block.attentions.0.", "mid.attn_1."),
    *(
        pair
        for level in range(_LEVELS)
        for pair in (
            *((f"encoder.down_blocks.{level}.resnets.{i}.", f"encoder.down.{level}.block.{i}.") for i in range(2)),
            *(
                (
                    (f"down_blocks.{level}.downsamplers.0.", f"down.{level}.downsample."),
                    (f"up_blocks.{level}.upsamplers.0.", f"up.{_LEVELS - 1 - level}.upsample."),
                )
                if level < _LEVELS - 1
                else ()
            ),
            *(
                (f"decoder.up_blocks.{level}.resnets.{i}.", f"decoder.up.{_LEVELS - 1 - level}.block.{i}.")
                for i in range(3)
            ),
        )
    ),
    *((f"mid_block.resnets.{i}.", f"mid.block_{i + 1}.") for i in range(2)),
)
_ATTENTION = (
    ("group_norm.", "norm."),
    ("query.", "q."),
    ("key.", "k."),
    ("value.", "v."),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
    ("proj_attn.", "proj_out."),
)
"""Replaced one after the other, wherever they are found (huggingface_guess 84826248, diffusers_convert.py)."""

_CONVOLUTIONS = tuple(f"mid.attn_1.{part}.weight" for part in ("q", "k", "v", "proj_out"))


def to_ldm(tensors: StateDict) -> StateDict:
    """A VAE in diffusers' layout as Forge converts it.

    The attention's matrices become convolutions, and so do those that are convolutions already: a newer diffusers
    file gets six dimensions and is refused.
    """
    found: StateDict = {}
    for name, tensor in tensors.items():
        found[renamed(name)] = tensor
    return {name: _reshaped(name, tensor) for name, tensor in found.items()}


def renamed(name: str) -> str:
    """The name Forge gives one tensor."""
    new = name
    for old, here in _RENAMED:
        new = new.replace(old, here)
    if "attentions" in name:
        for old, here in _ATTENTION:
            new = new.replace(old, here)
    return new


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    shape = tensor.shape
    for part in _CONVOLUTIONS:
        if part in name:
            shape = (*tensor.shape, 1, 1)
    return Tensor(tensor.dtype, shape, tensor.nbytes)
