"""How Forge swaps weights that do not fit, and how many of them stay on the card."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import MB

GB = 1024 * MB


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap Method Async, and Swap Location Shared (swapped weights are pinned)."""

    asynchronous: bool = False
    shared: bool = False


QUEUE = Swap()
"""Forge's default: Queue and CPU."""


def swap_limit(free: float, inference: float) -> int:
    """Bytes of weights on the GPU when a part does not fit (compute_model_gpu_memory_when_using_cpu_swap)."""
    available = free - inference
    return int(max(0, available / 1.3, available - 1.25 * GB))
