"""What the start flags and the card make of the memory manager: its state, and where each part may live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forgediag.forge.dtypes import Device, Moment, uses_fp16
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE

State = Literal["NO_VRAM", "LOW_VRAM", "NORMAL_VRAM", "HIGH_VRAM"]
"""Forge's VRAMState on a card with memory of its own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """State of the manager; parts that compute on the CPU; parts that stay on the GPU when unloaded."""

    state: State
    on_cpu: frozenset[str] = frozenset()
    kept_on_gpu: frozenset[str] = frozenset()
    offload_always: bool = False

    @property
    def unload_everything(self) -> bool:
        """Whether every load unloads all others first, whatever is free."""
        return self.offload_always or self.state == "NO_VRAM"


def rules(device: Device, moment: Moment) -> Rules:
    """The rules in force (Forge dfdcbab, backend/memory_management.py, lines 200-240 and 715-840)."""
    flags = moment.flags
    state: State = "NORMAL_VRAM"
    if "always_low_vram" in flags:
        state = "LOW_VRAM"
    elif "always_no_vram" in flags:
        state = "NO_VRAM"
    elif flags & {"always_high_vram", "always_gpu"}:
        state = "HIGH_VRAM"
    on_cpu: set[str] = set()
    text_on_gpu = state in {"NORMAL_VRAM", "HIGH_VRAM"} and uses_fp16(device, moment, speed=False)
    if "always_gpu" not in flags and not text_on_gpu:
        on_cpu.add(TEXT_ENCODER)
    if "vae_in_cpu" in flags:
        on_cpu.add(VAE)
    kept: set[str] = {UNET} if state == "HIGH_VRAM" else set()
    if "always_gpu" in flags:
        kept |= {TEXT_ENCODER, VAE}
    return Rules(state, frozenset(on_cpu), frozenset(kept), "always_offload_from_vram" in flags)
