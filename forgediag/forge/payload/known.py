"""What a payload is judged against: the built-in knowledge of Forge, or better the answers of the Forge at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from forgediag.forge.payload.fields import IMG2IMG, OPTIONS, SAMPLERS, SCHEDULERS, SCRIPTS, TXT2IMG
from forgediag.model import Fork, Listing, Options

Kind = Literal["txt2img", "img2img", "options"]

FIELDS: Mapping[Kind, Mapping[str, str]] = {"txt2img": TXT2IMG, "img2img": IMG2IMG, "options": OPTIONS}

NOT_IN: Mapping[Fork, frozenset[str]] = {
    "forge": frozenset({"forge_swap"}),
    "ersatzforge": frozenset({"forge_async_loading", "forge_pin_shared_memory"}),
    "neo": frozenset(
        {"forge_inference_memory", "forge_async_loading", "forge_pin_shared_memory", "xl_GPU_MB", "flux_GPU_MB"}
    ),
    "other": frozenset({name for name in OPTIONS if name.startswith("forge_")} | {"xl_GPU_MB", "flux_GPU_MB"}),
}
"""Options that a fork does not have (sources named in `forks.py`; Neo since January 2026)."""

MEMORY = ("forge_inference_memory", "forge_async_loading", "forge_pin_shared_memory")
"""The options that make Forge unload every model when they change (Forge dfdcbab, modules/sysinfo.py)."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One Forge as far as it is known.

    `options` are those the Forge at hand has, None offline. `listing`, `selected` (what it has set) and `total_mb` are
    None where no Forge told them.
    """

    fork: Fork = "forge"
    options: Collection[str] | None = None
    listing: Listing | None = None
    selected: Options | None = None
    samplers: Collection[str] = SAMPLERS
    schedulers: Collection[str] = field(default_factory=lambda: {*SCHEDULERS, *SCHEDULERS.values()})
    scripts: Collection[str] = SCRIPTS
    total_mb: int | None = None

    @property
    def live(self) -> bool:
        """Whether names can be looked up in a Forge: offline, extensions may bring more than is known here."""
        return self.options is not None

    def has_option(self, name: str) -> bool:
        """Whether Forge knows an option."""
        if self.options is not None:
            return name in self.options
        return name in OPTIONS and name not in NOT_IN[self.fork]
