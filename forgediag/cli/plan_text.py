"""A plan in words, tables and bars for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from forgediag.cli.glyphs import WIDTH, Glyphs
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE
from forgediag.forge.memory.manager import Load
from forgediag.model import MB
from forgediag.plan.peaks import Peak, device_peaks
from forgediag.plan.predict import Plan
from forgediag.plan.reasons import PHASES

BAR = 56
"""Characters that stand for the whole card."""

CONFIDENCE = {
    "estimated": "estimated from the card's name and bus; no job seen",
    "calibrated": "calibrated with jobs seen",
    "measured": "measured on three or more such jobs",
}


def text(plan: Plan, assumed: Sequence[str], notes: Sequence[str], shown: Glyphs) -> str:
    """The whole of it, at most 100 columns wide."""
    lines = [*_asked(plan), *_wrapped(assumed, "  assumed: "), "", *_parts(plan), "", *_loads(plan), ""]
    lines += [
        *_bars(plan, shown),
        "",
        *_seconds(plan),
        *_wrapped([*plan.doubts, *notes], "note: "),
        *_wrapped([verdict(plan)]),
    ]
    return "\n".join(lines) + "\n"


def _asked(plan: Plan) -> Iterator[str]:
    request, family = plan.request, plan.components.detection
    card, settings, picture = request.card, request.settings, request.picture
    base = family.base or "sdxl"
    width, height = picture.size(base)
    yield f"{request.name}: {family.family}"
    name = f"{card.name}, " if card.name else ""
    yield (
        f"  card     {name}{card.free_mb:g} MB free of {card.total:g} MB, compute capability "
        f"{card.capability[0]}.{card.capability[1]}"
    )
    yield (
        f"  picture  {width}x{height}, batch {picture.batch}, {picture.steps} steps, CFG {picture.scale(base):g}"
        f"{', img2img' if picture.img2img else ''}{f', hires {picture.hires:g}' if picture.hires else ''}"
    )
    yield (
        f"  setting  forge_inference_memory {settings.inference_memory_mb:g} MB (GPU Weights "
        f"{int(card.total) - settings.inference_memory_mb:g} MB), {settings.method} + {settings.location}"
    )


def _wrapped(texts: Sequence[str], begin: str = "") -> Iterator[str]:
    for item in texts:
        yield from textwrap.wrap(item, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))


def _parts(plan: Plan) -> Iterator[str]:
    yield f"{'part':<24}{'parameters':>16}  {'stored as':<16}{'computes in':<14}{'MB':>12}"
    for target in (TEXT_ENCODER, UNET, VAE):
        part = plan.components.parts.get(target)
        if part is None:
            yield f"{target:<24}{'missing':>16}"
        else:
            row = f"{target:<24}{part.parameters:>16,}  {part.storage:<16}{part.computation:<14}"
            yield f"{row}{part.require / MB:>12.2f}"


def _loads(plan: Plan) -> Iterator[str]:
    yield f"{'loads':<22}{'target':<24}{'free MB':>10}{'needs':>10}{'left':>11}{'on GPU':>11}{'swapped':>11}"
    for step in plan.steps:
        label = f"{step.phase} {step.image}"
        for load in step.loads:
            yield _load(label, load)
            label = ""
        if not step.loads:
            yield f"{label:<22}nothing to load"
        for line in step.log:
            yield from textwrap.wrap(line, WIDTH, initial_indent="  > ", subsequent_indent="    ")


def _load(label: str, load: Load) -> str:
    numbers = (load.free, load.require, load.remaining, load.gpu, load.swap)
    widths = (10, 10, 11, 11, 11)
    cells = "".join(f"{number / MB:>{width}.2f}" for number, width in zip(numbers, widths, strict=True))
    return f"{label:<22}{load.target:<24}{cells}"


def _bars(plan: Plan, shown: Glyphs) -> Iterator[str]:
    """One bar for each phase of the images asked for; a phase that ends as one before it did is left out."""
    total, peaks = plan.request.card.total, device_peaks(plan.request, plan.peaks)
    if not peaks:
        return
    legend = f"{shown.others} others  {shown.weights} weights  {shown.computing} computing  {shown.free} free"
    yield f"the card's {total:g} MB at the peak of each phase:  {legend}"
    for peak in plan.peaks:
        if peak.image <= plan.request.picture.images:
            yield _bar(plan, peak, shown)
    used = ", ".join(f"{name} {size / MB:.0f} MB" for name, size in peaks.items())
    yield from _wrapped([used], "with the allocator's cache: ")
    yield f"host memory at most {plan.ram_peak / MB:.0f} MB, pinned {plan.pinned / MB:.0f} MB"


def _bar(plan: Plan, peak: Peak, shown: Glyphs) -> str:
    card = plan.request.card
    weights = (peak.allocated - peak.needed) / MB
    parts = ((card.total - card.free_mb, shown.others), (weights, shown.weights), (peak.needed / MB, shown.computing))
    bar, end = "", 0.0
    for size, glyph in parts:
        end += size
        bar += glyph * max(0, min(BAR, round(end / card.total * BAR)) - len(bar))
    bar += shown.free * (BAR - len(bar))
    mark = "" if peak.fits else "  OUT"
    bound = "<=" if peak.bound else ""
    return f"{peak.phase + ' ' + str(peak.image):<16}[{bar}] {bound}{peak.allocated / MB:.0f} MB{mark}"


def _seconds(plan: Plan) -> Iterator[str]:
    if plan.first_seconds is None or plan.next_seconds is None or plan.speed is None:
        return
    first, further = f"{plan.first_seconds:.1f} s", f"{plan.next_seconds:.1f} s"
    yield from _wrapped([f"first image {first}, each further one {further} ({CONFIDENCE[plan.speed.confidence]})"])


def verdict(plan: Plan) -> str:
    """What comes of it, in one line."""
    if (error := plan.error) is not None:
        reason = f"; {plan.components.why}" if plan.components.why else ""
        first = error.message.partition("\n")[0]
        return f"Forge will refuse this: {error.type}: {first}{reason}"
    if plan.components.warnings:
        return f"Forge will fail: {'; '.join(plan.components.warnings)}"
    if (tight := plan.tight) is not None:
        return (
            f"Forge will run out of memory {PHASES[tight.phase]} of image {tight.image}: "
            f"{tight.needed / MB:.0f} MB are needed, {tight.free / MB:.0f} MB are free then"
        )
    if not plan.pins:
        return f"Forge will fail: {plan.pinned / MB:.0f} MB cannot be pinned, more than half of the host's memory"
    tiled = any(peak.tiled for peak in plan.peaks)
    return "It loads and fits." + " The VAE decodes in tiles, which is slow." * tiled
