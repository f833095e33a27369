"""What a Forge console log can tell, one class for each kind of line. Memory in MB, as Forge prints it; seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Started:
    """`Total VRAM … MB, total RAM … MB`: Forge has just started."""

    vram: int
    ram: int


@dataclass(frozen=True, slots=True)
class VramState:
    """`Set vram state to: …`."""

    state: str


@dataclass(frozen=True, slots=True)
class EnvironmentChanged:
    """`Environment vars changed: {…}`: the memory settings now in effect. `inference` in MB."""

    stream: bool
    inference: float
    pinned: bool


@dataclass(frozen=True, slots=True)
class LoadBegan:
    """`Loading Model: {…}`: a checkpoint with its additional modules, paths as Forge knows them."""

    checkpoint: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateDict:
    """`StateDict Keys: {…}`: tensors found for each component."""

    keys: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Created:
    """`K-Model Created: {…}`: the UNet's dtypes, as torch names them without `torch.`."""

    storage: str
    computation: str


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """`Model loaded in …s (…)`: seconds in all and of each part Forge names."""

    seconds: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unloaded:
    """`[Unload] Trying to free …`: `needed` is None for all memory; `free` as read before each model went."""

    needed: float | None
    device: str
    kept: int
    free: tuple[float, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """`[Memory Management] Target: …`: one model placed. On a CPU Forge prints only the end, and `target` is None.

    `swapped` is what stays in system memory and is copied at every use, `gpu` what lies on the card; without swap
    `gpu` is everything required.
    """

    target: str | None
    free: float = 0.0
    required: float = 0.0
    previous: float = 0.0
    inference: float = 0.0
    remaining: float = 0.0
    swapped: float = 0.0
    gpu: float = 0.0
    location: Literal["CPU", "Shared"] | None = None
    method: Literal["blocked", "asynchronous"] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """`Moving model(s) has taken …`: printed after a load."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """`Memory cleanup has taken …`: printed when it took more than 0.1 s."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BarMoved:
    """A progress bar: `step` of `steps`, seconds since its start, and a step's seconds as tqdm smooths them.

    `total` tells Forge's bar over a whole request from a sampler's own. tqdm rounds the elapsed seconds.
    """

    step: int
    steps: int
    elapsed: int
    step_seconds: float | None
    total: bool


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """A line in which torch says that the card's memory is used up."""

    text: str


@dataclass(frozen=True, slots=True)
class Tiled:
    """The VAE ran out of memory and decodes (or encodes) in tiles."""

    action: Literal["decoding", "encoding"]


@dataclass(frozen=True, slots=True)
class RanLow:
    """`[Low GPU VRAM Warning]`: free memory at a sampling step."""

    free: float


@dataclass(frozen=True, slots=True)
class FellBack:
    """`Checkpoint … not found; loading fallback …`."""

    selected: str
    used: str


@dataclass(frozen=True, slots=True)
class Corrupted:
    """`File corrupted: …`: Forge renames that file to NAME.corrupted."""

    path: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The last line of a traceback."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An access-log line of a request."""

    method: str
    path: str
    status: int


Event = (
    Started
    | VramState
    | EnvironmentChanged
    | LoadBegan
    | StateDict
    | Created
    | ModelLoaded
    | Unloaded
    | Loaded
    | Moved
    | CleanedUp
    | BarMoved
    | OutOfMemory
    | Tiled
    | RanLow
    | FellBack
    | Corrupted
    | Raised
    | Answered
)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event with the times its first and last piece were seen at."""

    event: Event
    began: float
    at: float
