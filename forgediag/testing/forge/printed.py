"""Lines that Forge's memory manager and its samplers print, with the numbers of a simulated Forge."""

from __future__ import annotations

from collections.abc import Sequence


def unloaded(free_mb: float, models: Sequence[str], needed_mb: float | None = None) -> str:
    """Room made on the card: `needed_mb` MB of it, or (None) all (Forge dfdcbab, backend/memory_management.py)."""
    size = "all memory" if needed_mb is None else f"{needed_mb:.2f} MB"
    gone = "".join(f"Current free memory is {free_mb:.2f} MB ... Unload model {model} " for model in models)
    return f"[Unload] Trying to free {size} for cuda:0 with 0 models keep loaded ... {gone}Done."


def placed(target: str, free_mb: float, require_mb: float, inference_mb: float, swap_mb: float = 0.0) -> str:
    """A model placed on the card, `swap_mb` MB of it left in system memory."""
    gpu = require_mb - swap_mb
    where = f"CPU Swap Loaded (blocked method): {swap_mb:.2f} MB, GPU Loaded: {gpu:.2f} MB"
    return (
        f"[Memory Management] Target: {target}, Free GPU: {free_mb:.2f} MB, Model Require: {require_mb:.2f} MB, "
        f"Previously Loaded: 0.00 MB, Inference Require: {inference_mb:.2f} MB, "
        f"Remaining: {free_mb - require_mb - inference_mb:.2f} MB, {where if swap_mb else 'All loaded to GPU.'}"
    )


def moved(seconds: float) -> str:
    """A model is in its place."""
    return f"Moving model(s) has taken {seconds:.2f} seconds"


def bar(step: int, steps: int, step_seconds: float) -> str:
    """A sampler's progress bar, as tqdm draws it."""
    done, left = round(step * step_seconds), round((steps - step) * step_seconds)
    clocks = f"{done // 60:02d}:{done % 60:02d}<{left // 60:02d}:{left % 60:02d}"
    return (
        f"{100 * step // steps:3d}%|{'#' * (10 * step // steps):10}| {step}/{steps} [{clocks}, {step_seconds:6.2f}s/it]"
    )
