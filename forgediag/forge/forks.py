"""Forge and its forks, told apart by the options they have."""

from __future__ import annotations

from collections.abc import Collection

from forgediag.model import Fork


def fork_of(keys: Collection[str]) -> Fork:
    """Which fork answers, from the keys of GET /sdapi/v1/options.

    Read in the sources of Forge dfdcbab and reForge2 65cb271e (`forge_async_loading`), ersatzForge fca12a28
    (`forge_swap` instead), Forge Neo 2.21-2.25 (modules but no `forge_inference_memory` since January 2026);
    Classic, reForge main and A1111 have neither.
    """
    if "forge_inference_memory" in keys:
        return "ersatzforge" if "forge_swap" in keys else "forge"
    return "neo" if "forge_additional_modules" in keys else "other"
