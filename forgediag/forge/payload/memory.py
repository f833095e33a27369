"""forge_inference_memory in a payload: its type, its unit, and whether GPU Weights were meant."""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.forge.payload.words import kind_of, remark
from forgediag.model import Finding, Severity

NAME = "forge_inference_memory"

LARGEST_CARD_MB = 200 * 1024
"""No card has more, in MB: beyond it a number is in other units."""

LARGE_MB = 5000
"""From here on a value is more often GPU Weights than a reserve: what users report as working is 1024 to 4622 MB."""


def memory_value(value: object, total_mb: int | None) -> Iterator[Finding]:
    """What is wrong with a value.

    Args:
        value: as sent; Forge wants a number of MB (1 048 576 bytes).
        total_mb: the card, None when it is not known.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        end = "is stored as 1 MB" if isinstance(value, bool) else "ends in 500 TypeError"
        yield remark(
            "memory-type",
            Severity.FAILURE,
            NAME,
            f"forge_inference_memory is {kind_of(value)}, which {end}: it must be a number of MB",
            "Send a number without quotes, for example 1024.",
        )
        return
    problem = _unit(value) or _meaning(value, total_mb)
    if problem is not None:
        rule, severity, message, fix = problem
        evidence: dict[str, object] = {NAME: value}
        if total_mb is not None:
            evidence |= {"gpu_weights_mb": total_mb - value, "total_mb": total_mb}
        yield remark(rule, severity, NAME, message, fix, evidence=evidence)


_Problem = tuple[str, Severity, str, str]


def _unit(value: float) -> _Problem | None:
    if value > LARGEST_CARD_MB:
        message = f"forge_inference_memory {value:g} is in MB, and no card has that many: bytes or KB were meant"
        return "memory-unit", Severity.FAILURE, message, f"Send {value / 1048576:.0f} if it was bytes."
    if 0 < value <= 64:
        message = f"forge_inference_memory {value:g} MB leaves the computation next to nothing: GB were meant"
        return "memory-unit", Severity.FAILURE, message, f"Send {value * 1024:.0f} if it was GB."
    return None


def _meaning(value: float, total_mb: int | None) -> _Problem | None:
    if value < 0:
        message = f"forge_inference_memory {value:g} is negative: Forge takes it and plans with more than the card has"
        return "memory-range", Severity.FAILURE, message, "Send 1024, or what `forgediag recommend` says."
    if value == 0:
        message = "forge_inference_memory 0 keeps nothing for the computation: GPU Weights at their most"
        return "memory-range", Severity.WARNING, message, "Send 1024, or what `forgediag recommend` says."
    if total_mb is not None and value > total_mb / 2:
        message = (
            f"forge_inference_memory {value:g} MB leaves {total_mb - value:g} of {total_mb} MB for weights: it is the"
            " reserve for the computation, the rest of the card is GPU Weights; the two seem mixed up"
        )
        severity = Severity.FAILURE if value >= total_mb else Severity.WARNING
        return "memory-meaning", severity, message, f"For GPU Weights {value:g} MB send {total_mb - value:g}."
    if total_mb is None and value >= LARGE_MB:
        message = (
            f"forge_inference_memory {value:g} MB is the reserve for the computation, not GPU Weights: on a card of"
            " 12 or 16 GB little is left for weights"
        )
        return "memory-meaning", Severity.WARNING, message, "For GPU Weights send the card's MB minus this number."
    return None
