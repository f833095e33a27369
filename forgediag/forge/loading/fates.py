"""What becomes of each additional module."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.forge.families import Base
from forgediag.forge.loading.file import File
from forgediag.forge.loading.ignored import because
from forgediag.forge.loading.split import Parts, group_of
from forgediag.model import Header, ModuleUse

SPOKEN = {"VAE": "VAE", "clip_l": "CLIP-L", "clip_g": "CLIP-G", "clip_h": "OpenCLIP-H", "t5xxl": "T5"}

_USEFUL = {
    "chroma": frozenset({"VAE", "t5xxl"}),
    "flux": frozenset({"VAE", "clip_l", "t5xxl"}),
    "sd3": frozenset({"VAE", "clip_l", "clip_g", "t5xxl"}),
}
"""What these families take of a module. The others put T5's tensors where nothing reads them."""
_NO_T5 = frozenset({"VAE", "clip_l", "clip_g", "clip_h"})


def fates(modules: Sequence[File], base: Base | None, parts: Parts | None, refused: str) -> tuple[ModuleUse, ...]:
    """The use of each module, in the order given. `refused` is the file the load stopped at, "" where none is."""
    if parts is None or base is None:
        return tuple(ModuleUse(item.path, "refused" if item.path == refused else "not-reached") for item in modules)
    return tuple(_fate(item, index, base, parts) for index, item in enumerate(modules))


def _fate(item: File, index: int, base: Base, parts: Parts) -> ModuleUse:
    taken = parts.taken[index] & _USEFUL.get(base if base == "chroma" else group_of(base), _NO_T5)
    if not taken and isinstance(item.found, Header):
        return ModuleUse(item.path, "ignored", because(item.found, base))
    later = {part for others in parts.taken[index + 1 :] for part in others}
    if taken <= later:
        names = " and ".join(SPOKEN[part] for part in sorted(taken))
        return ModuleUse(item.path, "overridden", f"its {names} is replaced by a module selected after it")
    return ModuleUse(item.path, "partly-used" if taken & later else "used")
