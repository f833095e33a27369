"""What opening Forge's web page does to its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESET: Mapping[str, frozenset[object]] = {
    "forge_async_loading": frozenset({"Queue"}),
    "forge_pin_shared_memory": frozenset({"CPU"}),
    "forge_unet_storage_dtype": frozenset({"Automatic"}),
    "forge_inference_memory": frozenset(),
}
"""Options that every page load sets anew, and to what; the memory is the preset's (Forge dfdcbab, main_entry.py)."""

BY_PRESET = {"xl": "xl_GPU_MB", "flux": "flux_GPU_MB"}
"""The option each preset takes its GPU Weights from; the others use the card less 1024 MB."""


def page_reset(before: Mapping[str, Any], after: Mapping[str, Any], total_mb: int | None) -> dict[str, tuple[Any, Any]]:
    """The options that changed as a page load changes them: name to value before and after; none if it was no page.

    Args:
        before: all options at one look.
        after: those at the next.
        total_mb: Forge's card, None where it is not known.
    """
    changed = {key: (before.get(key), after.get(key)) for key in RESET if before.get(key) != after.get(key)}
    if not changed:
        return {}
    for key, (_, value) in changed.items():
        if key == "forge_inference_memory":
            if total_mb is None or value != total_mb - _weights(after, total_mb):
                return {}
        elif value not in RESET[key]:
            return {}
    return changed


def _weights(options: Mapping[str, Any], total_mb: int) -> float:
    """GPU Weights that a page load sets."""
    value = options.get(BY_PRESET.get(str(options.get("forge_preset")), ""))
    if isinstance(value, (int, float)) and 0 <= value <= total_mb:
        return value
    return total_mb - 1024
