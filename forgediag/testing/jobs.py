"""Finished generations and a card's ledger, as a Forge with SDXL makes them at 1024x1024."""

from __future__ import annotations

from forgediag.model import MB, GpuMemory, Job, Ledger, Phase, PhaseName
from forgediag.profile.ledger import Holdings, ledger

PHASES: tuple[tuple[PhaseName, float, int, int], ...] = (
    ("text_encode", 0.8, 2_000, 3_900),
    ("unet_load", 1.4, 3_900, 8_840),
    ("sample", 5.0, 8_840, 9_430),
    ("vae_decode", 0.4, 9_430, 12_130),
)
"""Name, seconds, and MB on the card at its beginning and peak (measured on an H100 with Forge dfdcbab)."""

STEPS = 20


def job(started: float, *, outcome: str = "done", swapped: int = 0, left: int = 0) -> Job:
    """A job that began at `started` (Unix seconds) and left `left` MB more in use than there was."""
    phases: list[Phase] = []
    at = started
    for name, seconds, start, peak in PHASES:
        phases.append(
            Phase(
                name,
                at,
                at + seconds,
                "log",
                device_start=start * MB,
                device_peak=peak * MB,
                above_weights=(peak - start) * MB if name == "sample" else None,
                swapped=swapped * MB if name in {"unet_load", "sample"} else None,
                resident_peak=(7_000 + left) * MB,
            )
        )
        at += seconds
    return Job(
        target="forge",
        started=started,
        ended=at,
        outcome="oom" if outcome == "oom" else "done",
        model="sd_xl_base_1.0.safetensors",
        family="sdxl",
        pixels=1024 * 1024,
        steps=STEPS,
        settings=(("forge_async_loading", "Queue"), ("forge_inference_memory", 1024.0)),
        phases=tuple(phases),
        step_seconds=(0.25,) * STEPS,
        resident_start=7_000 * MB,
        resident_end=(7_000 + left) * MB,
        device_start=8_000 * MB,
        device_end=(8_000 + left) * MB,
    )


def shared_out(at: float, memory: GpuMemory) -> Ledger:
    """A card with SDXL's UNet on it."""
    own = memory.used - 300 * MB
    return ledger(Holdings(at, memory, own, None, 820 * MB, {"KModel": 4_897 * MB}))
