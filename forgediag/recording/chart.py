"""Memory over time as SVG: the curve, the phases behind it, the card shared out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil

from forgediag.model import Ledger, Phase

GIB = 1024.0**3

WIDE, HIGH = 1000, 320
LEFT, TOP, RIGHT, BOTTOM = 56, 26, 10, 34

PHASES: Mapping[str, str] = {
    "load": "load checkpoint",
    "text_encode": "encode text",
    "unet_load": "load UNet",
    "sample": "sample",
    "vae_encode": "VAE encode",
    "vae_decode": "VAE decode",
    "unload": "unload",
    "other": "other",
}
"""What phases are called in pictures; each has a CSS class `phase-NAME`."""

PARTS: Mapping[str, str] = {
    "driver": "driver",
    "others": "other programs",
    "context": "CUDA context",
    "weights": "weights",
    "activations": "activations",
    "cache": "torch's cache",
    "unexplained": "unexplained",
    "free": "free",
}
"""Parts of the card from the bottom up; each has a CSS class `part-NAME`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the axes show: seconds from `start`, bytes up to `top`."""

    start: float
    end: float
    top: float

    def x(self, at: float) -> float:
        """Pixels from the left."""
        share = (at - self.start) / max(self.end - self.start, 1e-9)
        return round(LEFT + min(1.0, max(0.0, share)) * (WIDE - LEFT - RIGHT), 1)

    def y(self, size: float) -> float:
        """Pixels from above."""
        return round(HIGH - BOTTOM - min(1.0, size / self.top) * (HIGH - TOP - BOTTOM), 1)


def memory(
    curve: Sequence[tuple[float, int]], phases: Sequence[Phase], start: float, end: float, total: int | None
) -> str:
    """The card's memory between two moments with the phases as bands behind it; a dashed line is the card's end.

    Args:
        curve: (Unix seconds, bytes), each value until the next.
        phases: what is marked.
        start: the left edge in Unix seconds.
        end: the right edge.
        total: bytes of the card.
    """
    highest = max([used for _, used in curve], default=0)
    frame = Frame(start, end, max(total or 0, highest, GIB) * 1.05)
    peak = f"{highest / GIB:.2f} GiB at most" if curve else "not recorded"
    inside = [
        *(_band(phase, frame) for phase in phases),
        *_axes(frame),
        *([_limit(total, frame)] if total else []),
        *([f'<path class="curve" d="{_steps(curve, frame)}"/>'] if curve else []),
    ]
    return _svg(f"GPU memory over {end - start:.1f} seconds: {peak}", inside)


def stacked(ledgers: Sequence[Ledger], start: float, end: float) -> str:
    """The card shared out over time, part by part on top of each other."""
    total = max((ledger.total for ledger in ledgers), default=0)
    frame = Frame(start, end, max(total, GIB) * 1.02)
    below = [0.0] * len(ledgers)
    areas: list[str] = []
    for name, title in PARTS.items():
        above = [
            low + sum(part.size for part in ledger.parts if part.name == name)
            for low, ledger in zip(below, ledgers, strict=True)
        ]
        if name != "free" and above != below:
            areas.append(_area(name, title, [ledger.at for ledger in ledgers], below, above, frame))
        below = above
    return _svg("What held the card's memory", [*_axes(frame), *areas])


def _area(
    name: str, title: str, times: Sequence[float], below: Sequence[float], above: Sequence[float], frame: Frame
) -> str:
    up = [f"{frame.x(at)},{frame.y(size)}" for at, size in zip(times, above, strict=True)]
    down = [f"{frame.x(at)},{frame.y(size)}" for at, size in zip(times, below, strict=True)]
    points = " ".join([*up, *reversed(down)])
    return f'<polygon class="part-{name}" points="{points}"><title>{escape(title)}</title></polygon>'


def _svg(title: str, inside: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        + "".join(inside)
        + "</svg>"
    )


def _band(phase: Phase, frame: Frame) -> str:
    left, right = frame.x(phase.start), frame.x(phase.end)
    title = f"{PHASES[phase.name]}: {phase.seconds:.2f} s"
    label = ""
    if right - left > 7 * len(PHASES[phase.name]):
        label = f'<text class="band" x="{left + 4}" y="{TOP - 8}">{PHASES[phase.name]}</text>'
    return (
        f'<rect class="phase-{phase.name}" x="{left}" y="{TOP}" width="{max(0.5, right - left):.1f}"'
        f' height="{HIGH - TOP - BOTTOM}"><title>{title}</title></rect>{label}'
    )


def _axes(frame: Frame) -> Iterator[str]:
    step = max(1, ceil(frame.top / GIB / 6))
    for gib in range(0, int(frame.top / GIB) + 1, step):
        y = frame.y(gib * GIB)
        yield f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDE - RIGHT}" y2="{y}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{gib} GiB</text>'
    span = frame.end - frame.start
    for part in range(5):
        x = frame.x(frame.start + span * part / 4)
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        yield f'<text x="{x}" y="{HIGH - 12}" text-anchor="{anchor}">{span * part / 4:.1f} s</text>'


def _limit(total: int, frame: Frame) -> str:
    y = frame.y(total)
    return (
        f'<line class="limit" x1="{LEFT}" y1="{y}" x2="{WIDE - RIGHT}" y2="{y}"/>'
        f'<text x="{WIDE - RIGHT}" y="{y - 5}" text-anchor="end">the card: {total / GIB:.1f} GiB</text>'
    )


def _steps(curve: Sequence[tuple[float, int]], frame: Frame) -> str:
    """A path that holds each value until the next."""
    first, *rest = [(frame.x(at), frame.y(used)) for at, used in curve]
    drawn = [f"M{first[0]},{first[1]}", *(f"H{x}V{y}" for x, y in rest), f"H{WIDE - RIGHT}"]
    return "".join(drawn)
