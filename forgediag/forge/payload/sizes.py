"""Numbers of a job that Forge takes as they come: width, height, batch, steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forgediag.forge.payload.words import remark
from forgediag.model import Finding, Severity

LATENT = 8
"""Pixels a side of one latent pixel of every family (Forge dfdcbab, modules/processing.py)."""

LIMITS: Mapping[str, tuple[int, int, str]] = {
    "width": (64, 4096, "pixels"),
    "height": (64, 4096, "pixels"),
    "batch_size": (1, 16, "pictures at once, whose memory adds up; n_iter makes them one after the other"),
    "n_iter": (1, 100, "batches, and Forge answers only after the last"),
    "steps": (1, 150, "steps"),
    "hr_second_pass_steps": (0, 150, "steps"),
}
"""What is usual, and what a number beyond it means."""


def sizes(values: Mapping[str, object]) -> Iterator[Finding]:
    """Sizes that are no multiple of 8, and numbers beyond what is usual."""
    for name, (least, most, words) in LIMITS.items():
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or least <= value <= most:
            continue
        impossible = value < (0 if name == "hr_second_pass_steps" else 1)
        yield remark(
            "size-unusual",
            Severity.FAILURE if impossible else Severity.WARNING,
            name,
            f"{name} {value:g}: usual are {least} to {most} {words}",
            f"Check whether {name} is meant so.",
        )
    for name in ("width", "height", "hr_resize_x", "hr_resize_y"):
        value = values.get(name)
        if isinstance(value, int) and value > 0 and value % LATENT:
            down = value - value % LATENT
            yield remark(
                "size-multiple",
                Severity.WARNING,
                name,
                f"{name} {value} is no multiple of 8: the picture comes out with {down}",
                f"Send {down} or {down + LATENT}; multiples of 64 suit every model.",
            )
