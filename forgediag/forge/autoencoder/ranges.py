"""What the ranges inside a VAE mean: which number formats can hold them, and where the first cannot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forgediag.model import DeepProbe, Finding, Pass, Severity

FP16_MAX = 65504.0
"""The largest fp16 number. A real fp16 run of Forge's class went non-finite first in the very layer whose fp32 range
was the first above it (compared on a VAE with one convolution scaled)."""

TIGHT = 30_000.0
"""From here on another latent can leave fp16: what is seen depends on the latents tried."""

FLAT = 1e-4
"""A picture whose lightest and darkest values are this close is one colour (Forge's pictures span 2)."""

CHECK = "autoencoder-run"


@dataclass(frozen=True, slots=True)
class Peak:
    """The range after one layer, and what was put in at the time."""

    layer: str
    largest: float
    way: str
    given: str


def broken(probe: DeepProbe) -> Peak | None:
    """The first layer whose output is not finite even in fp32."""
    return next((peak for peak in _peaks(probe.passes) if not math.isfinite(peak.largest)), None)


def leaves(probe: DeepProbe, limit: float = FP16_MAX) -> Peak | None:
    """The first layer above a limit, of the first pass that has one; None where all stay below."""
    return next((peak for peak in _peaks(probe.passes) if not peak.largest <= limit), None)


def largest(probe: DeepProbe) -> Peak | None:
    """The widest finite range of all; None where nothing ran."""
    finite = (peak for peak in _peaks(probe.passes) if math.isfinite(peak.largest))
    return max(finite, key=lambda peak: peak.largest, default=None)


def safe_dtypes(probe: DeepProbe) -> dict[str, bool]:
    """Whether each number format can hold what was seen. bf16 has fp32's range."""
    sound = broken(probe) is None
    return {"float16": sound and leaves(probe) is None, "bfloat16": sound, "float32": sound}


def judge(probe: DeepProbe) -> tuple[Finding, ...]:
    """What is worth telling of a VAE that was run; nothing of one that any card can run."""
    if peak := broken(probe):
        return (_not_finite(probe, peak),)
    found = [_one_colour(probe, flat) for flat in probe.passes if _is_flat(flat)][:1]
    over, near = leaves(probe), leaves(probe, TIGHT)
    if over is not None:
        found.append(_overflow(probe, over))
    elif near is not None:
        found.append(_tight(probe, near))
    return tuple(found)


def _peaks(passes: Sequence[Pass]) -> Iterator[Peak]:
    for one in passes:
        for layer, value in one.largest.items():
            yield Peak(layer, value, one.way, one.given)


def _is_flat(one: Pass) -> bool:
    return one.spread is not None and one.spread < FLAT and "flat" not in one.given


def _finding(severity: Severity, probe: DeepProbe, message: str, peak: Peak, fix: tuple[str, ...]) -> Finding:
    evidence = {"layer": peak.layer, "largest": peak.largest, "way": peak.way, "latent": peak.given}
    return Finding(CHECK, severity, "", probe.path, message, evidence, fix)


def _not_finite(probe: DeepProbe, peak: Peak) -> Finding:
    what = "NaN" if math.isnan(peak.largest) else "infinity"
    return _finding(
        Severity.FAILURE,
        probe,
        f"this VAE gives {what} in {peak.layer} whatever the number format ({peak.way}, {peak.given}): "
        "Forge answers 200 with black pictures",
        peak,
        ("Download the VAE again and compare its SHA-256.", "Or select another VAE of the same family."),
    )


def _one_colour(probe: DeepProbe, flat: Pass) -> Finding:
    layer, value = list(flat.largest.items())[-1]
    return _finding(
        Severity.FAILURE,
        probe,
        f"this VAE answers one colour for a latent of noise ({flat.way}, {flat.given}): its weights are no VAE's",
        Peak(layer, value, flat.way, flat.given),
        ("Download the VAE again, or select another of the same family.",),
    )


def _overflow(probe: DeepProbe, peak: Peak) -> Finding:
    return _finding(
        Severity.WARNING,
        probe,
        f"{peak.layer} reaches {peak.largest:,.0f} ({peak.way}, {peak.given}), more than fp16 can hold (65,504): "
        "with --vae-in-fp16 pictures are black; bf16 (Forge's choice from compute capability 8.0 on) and fp32 are safe",
        peak,
        (
            "Start Forge without --vae-in-fp16 (and without --all-in-fp16).",
            "Or use a VAE made for fp16, such as sdxl-vae-fp16-fix for SDXL.",
        ),
    )


def _tight(probe: DeepProbe, peak: Peak) -> Finding:
    return _finding(
        Severity.WARNING,
        probe,
        f"{peak.layer} reaches {peak.largest:,.0f} ({peak.way}, {peak.given}), near the 65,504 that fp16 can hold: "
        "some pictures may be black with --vae-in-fp16; bf16 and fp32 are safe",
        peak,
        ("Start Forge without --vae-in-fp16.",),
    )
