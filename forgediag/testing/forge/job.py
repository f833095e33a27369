"""A generation of a simulated Forge: what is asked, how it went, how long things take, and what progress tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from forgediag.testing.forge.files import Checkpoint, ForgeError

Phase = Literal["text_encode", "unet_load", "sampling", "vae_decode", "unload", "idle"]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A generation asked for. `fails` makes it end with that error while it samples."""

    prompt: str = "a harbour at dawn"
    steps: int = 20
    width: int = 512
    height: int = 512
    batch_size: int = 1
    n_iter: int = 1
    override_settings: Mapping[str, object] = field(default_factory=dict[str, object])
    restore: bool = True
    fails: ForgeError | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> JobRequest:
        """The body of POST txt2img; what is absent has the API's default (50 steps, 512x512).

        Raises:
            ValueError, TypeError: a number that is none.
        """
        return cls(
            prompt=str(payload.get("prompt", "")),
            steps=_whole(payload, "steps", 50),
            width=_whole(payload, "width", 512),
            height=_whole(payload, "height", 512),
            batch_size=_whole(payload, "batch_size", 1),
            n_iter=_whole(payload, "n_iter", 1),
            override_settings=cast("dict[str, object]", payload.get("override_settings") or {}),
            restore=bool(payload.get("override_settings_restore_afterwards", True)),
        )

    @property
    def megapixels(self) -> float:
        """In units of 1024 x 1024."""
        return self.width * self.height / 1024 / 1024


def _whole(payload: Mapping[str, Any], key: str, default: int) -> int:
    return int(payload.get(key) or default)


@dataclass(frozen=True, slots=True)
class JobDone:
    """A generation that ended with images. `black`: every pixel is 0, which is what NaN becomes."""

    request: JobRequest
    checkpoint: Checkpoint
    images: int
    interrupted: bool
    black: bool


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """A phase has begun. Bytes: `used` by Forge's process on the card (NVML's view), `allocated` by torch."""

    phase: Phase
    at: float
    used: int
    allocated: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that things take on this machine.

    `step` and `vae_decode` are those of one picture of a megapixel (1024 x 1024): one of 512 x 512 takes a quarter.
    """

    begin: float = 0.005
    load_per_gb: float = 0.6
    text_encode: float = 0.3
    unet_load: float = 0.5
    step: float = 0.12
    swap_per_gb: float = 0.08
    vae_decode: float = 0.4


@dataclass
class State:
    """What GET /sdapi/v1/progress tells."""

    job: str = ""
    job_count: int = 0
    job_no: int = 0
    job_timestamp: str = "0"
    sampling_step: int = 0
    sampling_steps: int = 0
    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    started: float = 0.0


STATE_KEYS = (
    "skipped",
    "interrupted",
    "stopping_generation",
    "job",
    "job_count",
    "job_timestamp",
    "job_no",
    "sampling_step",
    "sampling_steps",
)
