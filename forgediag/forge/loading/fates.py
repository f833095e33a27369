"""What becomes of each additional module."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.forge.families import Base
from forgediag.forge.loading.split import Parts
from forgediag.model import ModuleUse

SPOKEN = {"VAE": "VAE", "clip_l": "CLIP-L", "clip_g": "CLIP-G", "clip_h": "OpenCLIP-H", "t5xxl": "T5"}

_WANTED = {"sd3": frozenset({"VAE", "clip_l", "clip_g", "t5xxl"}), "chroma": frozenset({"VAE", "t5xxl"})}


def fates(modules: Sequence[str], base: Base | None, parts: Parts | None, refused: str) -> tuple[ModuleUse, ...]:
    """The use of each module, in the order given. `refused` is the file the load stopped at, "" where none is."""
    if parts is None or base is None:
        at = modules.index(refused) if refused in modules else -1
        return tuple(ModuleUse(path, "refused" if index == at else "not-reached") for index, path in enumerate(modules))
    return tuple(_fate(path, index, base, parts) for index, path in enumerate(modules))


def _fate(path: str, index: int, base: Base, parts: Parts) -> ModuleUse:
    taken = parts.taken[index] & _useful(base)
    if not taken:
        return ModuleUse(path, "ignored", f"Forge takes nothing of it for a {base} checkpoint and says nothing")
    later: frozenset[str] = frozenset().union(*parts.taken[index + 1 :])
    if taken <= later:
        names = " and ".join(SPOKEN[part] for part in sorted(taken))
        return ModuleUse(path, "overridden", f"its {names} is replaced by a module selected after it")
    return ModuleUse(path, "partly-used" if taken & later else "used")


def _useful(base: Base) -> frozenset[str]:
    if base == "chroma":
        return _WANTED["chroma"]
    if base.startswith("sd3"):
        return _WANTED["sd3"]
    if base.startswith("flux"):
        return frozenset({"VAE", "clip_l", "t5xxl"})
    return frozenset({"VAE", "clip_l", "clip_g", "clip_h"})
