"""What a generation puts beside the model: ControlNets that are loaded with the UNet, LoRAs kept apart from it."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.forge import dtypes
from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.layers import layer, modules, plain
from forgediag.forge.memory.manager import Body
from forgediag.forge.parts import Stages
from forgediag.model import Header

_PREFIX = "control_model."
_NETS = ("zero_convs.0.0.weight", f"{_PREFIX}zero_convs.0.0.weight", "controlnet_cond_embedding.conv_in.weight")
_PLAIN = frozenset({dtypes.FP32, dtypes.FP16, dtypes.BF16})
_TEXT = ("lora_te", "text_encoder", "te_", "te1_", "te2_")


def companions(controlnets: Sequence[Header], device: Device, moment: Moment) -> tuple[Body, ...]:
    """The ControlNets that Forge's memory manager loads with the UNet.

    A ControlNet is cast to the type the card would store an SD UNet in, whatever type the file has. T2I adapters,
    ControlLoRAs and IP adapters are not managed. Forge dfdcbab, modules_forge/supported_controlnet.py.
    """
    size = dtypes.SIZE[dtypes.storage_type("sdxl", device, moment, 0, dtypes.FP16)]
    made: list[Body] = []
    for header in controlnets:
        if any(key in header.tensors for key in _NETS) and "lora_controlnet" not in header.tensors:
            tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in header.tensors.items()}
            layers = [layer(path, leaves, plain(size)) for path, leaves in modules(tensors).items()]
            made.append(Body("ControlNet", Stages.of([(item, item, item) for item in layers])))
    return tuple(made)


def preserved(controlnets: Sequence[Header], loras: Sequence[Header], storage: str, computation: str) -> float:
    """Bytes Forge keeps free beside the inference memory while sampling.

    A ControlLoRA counts four bytes an element. LoRAs count while they are not merged into the weights: with "on the
    fly" chosen and a UNet that is stored in fp8 or quantised, in the computation type and without the text encoders'.
    Forge dfdcbab, backend/patcher/controlnet.py, backend/sampling/sampling_function.py, sd_forge_lora/networks.py.
    """
    kept = 0.0
    for header in controlnets:
        if "lora_controlnet" in header.tensors:
            kept += 4 * sum(dtypes.elements(tensor.shape) for tensor in header.tensors.values())
    if storage not in _PLAIN:
        for header in loras:
            kept += dtypes.SIZE[computation] * sum(
                dtypes.elements(tensor.shape)
                for name, tensor in header.tensors.items()
                if tensor.shape and not name.startswith(_TEXT)
            )
    return kept
