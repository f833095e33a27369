"""Model files: what their headers and bytes say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from forgediag.model.known import Known
from forgediag.model.prediction import Prediction
from forgediag.model.safety import Safety


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's place in a file. `dtype` as the file spells it ("F16", "F8_E4M3", "GGUF:Q8_0")."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


FileFormat = Literal["safetensors", "gguf", "pickle", "unknown"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file. `forge_says` is the last cause in Forge's console when it loads it."""

    id: str
    message: str
    fix: tuple[str, ...]
    forge_says: str | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """A model file's header: tensors by name in file order. `doubt` is what is odd about it though Forge reads it.

    `unread` says why the tensors are not known here, though Forge may read them.
    """

    format: FileFormat
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    doubt: Fault | None = None
    unread: str | None = None


Role = Literal["checkpoint", "module", "lora", "embedding", "controlnet", "hypernetwork", "upscaler", "other"]
"""What Forge takes a file for, by the folder it lies in; "other" in a folder Forge does not know."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model file: the path Forge knows, where it is here, and what its bytes say.

    The header itself is not kept: `family`, `latent_channels` and `component_bytes` are what it amounts to.
    `traits` are what not every Forge can read in it: "GGUF", "GGUF:BF16", "fp8-scaled", "bitsandbytes". `dtype` is the
    type most of its bytes have, as the file spells it. `unlisted` says why Forge does not list it. `safety` is what
    loading it would run, None for formats in which nothing can.
    """

    path: str
    local: str
    role: Role
    selected: bool
    size: int
    format: FileFormat
    family: str
    fault: Fault | None
    latent_channels: int | None
    component_bytes: Mapping[str, int]
    sha256: Known[str]
    traits: frozenset[str] = frozenset()
    dtype: str | None = None
    unlisted: str | None = None
    safety: Safety | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """The files behind Forge's listing that can be read here.

    `unreadable` says why for each other path; `pending` files were not looked at yet. `prediction` is what comes of
    loading the selected ones, None where not all of them could be read.
    """

    files: tuple[ModelFile, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])
    pending: int = 0
    prediction: Known[Prediction] | None = None

    @property
    def selected(self) -> tuple[ModelFile, ...]:
        """The checkpoint and modules selected in Forge's options."""
        return tuple(file for file in self.files if file.selected)
