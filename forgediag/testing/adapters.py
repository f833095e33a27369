"""Headers of what people put beside a checkpoint: LoRAs and ControlNets, built from the checkpoint's own shapes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from forgediag.model import Header, Tensor
from forgediag.testing.headers import UNET, header, tensor

_ENCODERS = {"sd15": (("te", 768, 12),), "sdxl": (("te1", 768, 12), ("te2", 1280, 32))}
_HINT = (3, 16, 16, 32, 32, 96, 96, 256, 320)
"""Channels of the network that reads a ControlNet's picture."""


def lora(family: str, rank: int = 16) -> Header:
    """A LoRA in kohya's spelling for "sd15", "sdxl" or "flux": every linear layer of the transformers and of CLIP."""
    made: dict[str, Tensor] = {}
    for name, (outside, inside), kernel in (*_unet_targets(family), *_clip_targets(family)):
        made[f"{name}.lora_up.weight"] = tensor("F16", (outside, rank, *kernel))
        made[f"{name}.lora_down.weight"] = tensor("F16", (rank, inside, *kernel))
        made[f"{name}.alpha"] = tensor("F32", ())
    return Header("safetensors", made)


Target = tuple[str, tuple[int, int], tuple[int, ...]]


def _unet_targets(family: str) -> Iterator[Target]:
    for name, found in header(family).tensors.items():
        path = name.removeprefix(UNET).removesuffix(".weight")
        inside = (".transformer_blocks." in name or ".proj_" in name) and name.startswith(UNET)
        inside = inside or name.startswith(("double_blocks.", "single_blocks."))
        if inside and name.endswith(".weight") and len(found.shape) in {2, 4}:
            yield f"lora_unet_{path.replace('.', '_')}", (found.shape[0], found.shape[1]), found.shape[2:]


def _clip_targets(family: str) -> Iterator[Target]:
    for encoder, wide, depth in _ENCODERS.get(family, ()):
        for index in range(depth):
            place = f"lora_{encoder}_text_model_encoder_layers_{index}"
            for part in ("q_proj", "v_proj"):
                yield f"{place}_self_attn_{part}", (wide, wide), ()
            yield f"{place}_mlp_fc1", (4 * wide, wide), ()
            yield f"{place}_mlp_fc2", (wide, 4 * wide), ()


def controlnet(family: str, kind: str = "F16", prefix: str = "") -> Header:
    """A ControlNet for "sd15" or "sdxl" in a type: the UNet's first half, a way out of each block, a hint network."""
    found = {name[len(UNET) :]: t.shape for name, t in header(family).tensors.items() if name.startswith(UNET)}
    halves = ("time_embed.", "label_emb.", "input_blocks.", "middle_block.")
    shapes = {name: shape for name, shape in found.items() if name.startswith(halves)}
    wide = 320
    for index in range(1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("input_blocks."))):
        for leaf in ("out_layers.3", "op"):
            wide = shapes.get(f"input_blocks.{index}.0.{leaf}.weight", (wide,))[0]
        shapes |= _convolution(f"zero_convs.{index}.0", wide, wide, 1)
    shapes |= _convolution("middle_block_out.0", wide, wide, 1)
    for index, (inside, outside) in enumerate(pairwise(_HINT)):
        shapes |= _convolution(f"input_hint_block.{2 * index}", outside, inside, 3)
    return Header("safetensors", {prefix + name: tensor(kind, shape) for name, shape in shapes.items()})


def _convolution(name: str, outside: int, inside: int, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outside, inside, size, size), f"{name}.bias": (outside,)}


def control_lora(family: str, rank: int = 64) -> Header:
    """A ControlLoRA: a ControlNet whose transformers' matrices are two thin ones each, the rest its own."""
    made = {"lora_controlnet": tensor("F16", (1,))}
    for name, found in controlnet(family).tensors.items():
        if len(found.shape) == 2 and ".transformer_blocks." in name:
            path = name.removesuffix(".weight")
            made[f"{path}.up"] = tensor("F16", (found.shape[0], rank))
            made[f"{path}.down"] = tensor("F16", (rank, found.shape[1]))
        elif name.endswith(".bias") or name.startswith(("zero_convs.", "input_hint_block.", "middle_block_out.")):
            made[name] = found
    return Header("safetensors", made)
