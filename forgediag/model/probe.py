"""What a VAE does when it is really run: the range after every layer, and whether its output is a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Way = Literal["decode", "encode"]


@dataclass(frozen=True, slots=True)
class Pass:
    """One way through a VAE, in fp32.

    Attributes:
        way: latent to picture, or back.
        given: what went in, in words ("gaussian 8x8").
        largest: max|x| after each convolution, addition and q.k, by the module's name in Forge, in the order they
            run. It ends at the first one that is not finite.
        spread: largest less smallest value that came out; None where nothing finite did.
        seconds: what it took.
    """

    way: Way
    given: str
    largest: Mapping[str, float]
    spread: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class DeepProbe:
    """All passes through one VAE. `peak_bytes`: the most memory the child held, None where no platform tells."""

    path: str
    latent_channels: int
    passes: tuple[Pass, ...]
    seconds: float = 0.0
    peak_bytes: int | None = None
