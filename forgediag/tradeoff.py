"""The trade-off curve of an advice: which points, marks and axes a drawing of it has, on whatever it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import Advice, CurvePoint


@dataclass(frozen=True, slots=True)
class Frame:
    """The values a curve runs over: MB from left to right, seconds from the bottom up."""

    left: float
    right: float
    low: float
    high: float

    def x(self, mb: float, length: float) -> float:
        """Where a value lies on an axis of this length."""
        return (mb - self.left) / max(1.0, self.right - self.left) * length

    def y(self, seconds: float, length: float) -> float:
        """How high a value lies on an axis of this length; what is above the frame is at its top."""
        return min(1.0, (seconds - self.low) / max(1e-9, self.high - self.low)) * length


@dataclass(frozen=True, slots=True)
class Marks:
    """The points drawn: the curve, where the settings are now and where they should be. (MB, seconds)."""

    curve: tuple[tuple[int, float, bool], ...]
    here: tuple[float, float] | None
    best: tuple[float, float]
    frame: Frame


def marks(advice: Advice) -> Marks | None:
    """What is to be drawn; None where no speed is known."""
    seconds = advice.expected.per_image_seconds
    points = tuple((p.forge_inference_memory, p.per_image_seconds, p.fits) for p in advice.curve if _timed(p))
    timed = tuple((mb, spent, fits) for mb, spent, fits in points if spent is not None)
    if seconds is None or not timed:
        return None
    now = advice.expected.current_per_image_seconds
    here = None if advice.current is None or now is None else (float(advice.current.forge_inference_memory), now)
    values = [spent for _, spent, _ in timed]
    lowest = min([*values, seconds])
    highest = max(min(max([*values, now or 0.0]), 8 * lowest), 1.05 * lowest)
    bottom = max(0.0, lowest - 0.15 * (highest - lowest)) if highest < 2 * lowest else 0.0
    frame = Frame(timed[0][0], timed[-1][0], bottom, highest)
    return Marks(timed, here, (float(advice.recommended.forge_inference_memory), seconds), frame)


def _timed(point: CurvePoint) -> bool:
    return point.per_image_seconds is not None
