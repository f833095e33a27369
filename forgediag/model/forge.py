"""Forge as it answers over HTTP: options, memory, progress, listing, flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from forgediag.model.known import Gap, Known


@dataclass(frozen=True, slots=True)
class Options:
    """What GET /sdapi/v1/options says: the settings selected, not always those in effect.

    `values` holds every option as answered; `broken` names those whose stored value has a wrong type,
    which makes Forge answer 500 with the values inside.
    """

    values: Mapping[str, Any]
    broken: tuple[str, ...] = ()

    def text(self, key: str) -> str | None:
        """The option as a string, or None when absent, null or of another type."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> float | None:
        """The option as a float (Forge answers every number as one), or None."""
        value = self.values.get(key)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    @property
    def checkpoint(self) -> str | None:
        """`sd_model_checkpoint`: the checkpoint selected, as written by whoever set it."""
        return self.text("sd_model_checkpoint")

    @property
    def loaded_sha256(self) -> str | None:
        """`sd_checkpoint_hash`: the SHA-256 of the checkpoint last loaded well, if any."""
        return self.text("sd_checkpoint_hash") or None

    @property
    def modules(self) -> tuple[str, ...]:
        """`forge_additional_modules`: paths of the VAE and text encoder files selected."""
        value = self.values.get("forge_additional_modules")
        return tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else ()

    @property
    def inference_memory_mb(self) -> float | None:
        """`forge_inference_memory` in MB, or None where the fork has no such option."""
        return self.number("forge_inference_memory")


@dataclass(frozen=True, slots=True)
class CudaMemory:
    """Torch's caching allocator on Forge's device, from GET /sdapi/v1/memory. Bytes; peaks since Forge started."""

    total: int
    free: int
    allocated: int
    allocated_peak: int
    reserved: int
    reserved_peak: int
    active: int
    active_peak: int
    inactive: int
    inactive_peak: int
    retries: int
    ooms: int


@dataclass(frozen=True, slots=True)
class TorchMemory:
    """GET /sdapi/v1/memory. `resident` is Forge's RSS; its `ram.free` is total - RSS, so it is not kept."""

    resident: int
    cuda: Known[CudaMemory]


@dataclass(frozen=True, slots=True)
class Progress:
    """GET /sdapi/v1/progress. While a model loads `job_count` is -1 and no step is counted."""

    job: str
    job_count: int
    job_no: int
    job_timestamp: str
    step: int
    steps: int
    ratio: float
    interrupted: bool

    @property
    def running(self) -> bool:
        """Whether a generation is under way, its model load included."""
        return self.job_count != 0 or bool(self.job)

    @property
    def loading(self) -> bool:
        """Whether the job is still before its first sampling step."""
        return self.job_count == -1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One row of GET /sdapi/v1/sd-models. `sha256` is known only after Forge loaded the file once."""

    title: str
    name: str
    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """One row of GET /sdapi/v1/sd-modules: a VAE or text encoder Forge may be told to use."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The checkpoints and modules Forge lists."""

    checkpoints: tuple[Checkpoint, ...]
    modules: tuple[Module, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    """Forge's command-line flags. Secrets are replaced by True before they get here."""

    values: Mapping[str, Any]

    def on(self, name: str) -> bool:
        """Whether a flag is set to anything but None, False or an empty value."""
        return bool(self.values.get(name))

    @property
    def switched(self) -> frozenset[str]:
        """The names of the flags that are simply on, as the planner's rules take them."""
        return frozenset(name for name, value in self.values.items() if value is True)


@dataclass(frozen=True, slots=True)
class Sysinfo:
    """GET /internal/sysinfo, which only a Forge with the web UI has and which takes it two seconds.

    `commit` is None in an install without git. `exceptions` are the last five Forge noted, the newest first,
    a line each.
    """

    version: str | None
    commit: str | None
    python: str | None
    torch: str | None
    torch_cuda: str | None
    packages: Mapping[str, str]
    exceptions: tuple[str, ...]


Fork = Literal["forge", "ersatzforge", "neo", "other"]


NOT_ASKED = Gap("Forge's system information was not asked for", "starting", expected=True)


@dataclass(frozen=True, slots=True)
class Forge:
    """A Forge that answers. Each part is a gap of its own when only that endpoint fails."""

    url: str
    fork: Known[Fork]
    options: Known[Options]
    memory: Known[TorchMemory]
    progress: Known[Progress]
    listing: Known[Listing]
    flags: Known[Flags]
    samplers: Known[tuple[str, ...]]
    sysinfo: Known[Sysinfo] = NOT_ASKED
