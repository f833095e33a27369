"""The best memory settings for a request: every value, method and location tried on the model of Forge's loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forgediag.forge.families import UNET, Base
from forgediag.forge.memory.run import Step
from forgediag.model import MB, Advice, CurvePoint, Expected, Fork, Gap, Known, Setting
from forgediag.plan.peaks import Prepared
from forgediag.plan.predict import Plan, judge, plan, prepare, simulated, speed_of
from forgediag.plan.reasons import reasons
from forgediag.plan.request import Request, Settings
from forgediag.plan.speed import Speed

Method = Literal["Queue", "Async"]
Location = Literal["CPU", "Shared"]

JITTER_MB = 150.0
"""How far the free memory of one load may be from that of another: other programs and fragmentation. A prior."""

MARGIN_MB = 200.0
"""Free memory that must be left at every peak, at least; a tenth of the activations if that is more, a twentieth
once jobs of this machine were seen."""

_OFFSETS, _WEIGHTS = (0.0, -JITTER_MB, JITTER_MB), (0.8, 0.1, 0.1)
"""The free memories a setting is judged at, and how likely each is: seconds are expected, fitness is the worst."""

_COMBINATIONS: tuple[tuple[Method, Location], ...] = (
    ("Queue", "CPU"),
    ("Queue", "Shared"),
    ("Async", "CPU"),
    ("Async", "Shared"),
)
_COARSE = 48
"""Values tried in the first sweep; the second one goes between the neighbours of the best."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting: the plan at the free memory given, and expected seconds and worst fitness within the jitter."""

    settings: Settings
    plan: Plan
    seconds: float
    fits: bool
    slack: float

    @property
    def mb(self) -> int:
        """`forge_inference_memory` in MB."""
        return int(self.settings.inference_memory_mb)


def recommend(
    request: Request,
    *,
    speed: Speed | None = None,
    fork: Fork = "forge",
    current: Settings | None = None,
    prepared: Prepared | None = None,
) -> Known[Advice]:
    """The setting with the fewest seconds a further image among those that never run out of memory.

    A gap where nothing can be advised: a file Forge refuses, or a fork without any such setting.

    Raises:
        RefusedError: the request itself cannot be planned.
    """
    prepared = prepared or prepare(request)
    base, error = prepared.components.detection.base, prepared.components.error
    if fork == "other":
        return Gap("this WebUI has no forge_inference_memory and nothing like it", "unsupported", expected=True)
    if base is None or error is not None:
        return Gap(f"Forge will not load this: {error.message if error else 'unknown'}", "failed")
    search = _Search(_two_images(request), prepared, base, speed or speed_of(request, base))
    now = search.candidate(current or request.settings)
    tried = sorted([*search.everything(), now], key=lambda candidate: candidate.mb)
    best = choose(tried)
    if now.fits and _price(now) <= 1.01 * _price(best):
        best = now  # nothing to gain by changing it
    return _advice(request, search, tried, best, now, fork)


def choose(tried: Sequence[Candidate]) -> Candidate:
    """The best candidate: among those within 1 % of the fewest seconds the simplest, then the lowest value.

    Where none fits, the one that misses least.
    """
    fitting = [candidate for candidate in tried if candidate.fits]
    if not fitting:
        return max(tried, key=lambda candidate: candidate.slack)
    limit = 1.01 * min(map(_price, fitting))
    near = [candidate for candidate in fitting if _price(candidate) <= limit]
    return min(near, key=lambda candidate: (_plainness(candidate.settings), candidate.mb))


def _price(candidate: Candidate) -> float:
    """Seconds, with Async 4 % dearer: it has to be worth memory that nothing bounds."""
    return candidate.seconds * (1.04 if candidate.settings.method == "Async" else 1.0)


def _plainness(settings: Settings) -> int:
    return _COMBINATIONS.index((settings.method, settings.location))


def _two_images(request: Request) -> Request:
    """The request continued to a second image, which is what a setting is judged by."""
    return replace(request, picture=replace(request.picture, images=max(2, request.picture.images)))


@dataclass(slots=True)
class _Search:
    request: Request
    prepared: Prepared
    base: Base
    speed: Speed

    def everything(self) -> list[Candidate]:
        """A coarse sweep with the exact cliffs, and a fine one around its best."""
        coarse = self._at(self._values())
        best = choose(coarse)
        marks = sorted({candidate.mb for candidate in coarse})
        place = marks.index(best.mb)
        below, above = marks[max(0, place - 1)], marks[min(len(marks) - 1, place + 1)]
        step = max(1, (above - below) // 8)
        fine = self._at(sorted(set(range(below + step, above, step)) - set(marks)))
        return sorted(coarse + fine, key=lambda candidate: candidate.mb)

    def candidate(self, settings: Settings) -> Candidate:
        """One setting judged."""
        return self._judge(settings.inference_memory_mb, ((settings.method, settings.location),))[0]

    def _values(self) -> list[int]:
        free = self.request.card.free_mb
        lowest = int(min(512, 0.05 * self.request.card.total))
        step = max(1, int((free - lowest) / _COARSE))
        values = set(range(lowest, max(lowest + 1, int(free)), step))
        for part in self.prepared.components.parts.values():
            cliff = int(free - part.stages.used.size / MB)
            values |= {cliff - 1 - int(JITTER_MB), cliff + 1 + int(JITTER_MB), cliff - 1, cliff + 1}
        return sorted(value for value in values if lowest <= value <= max(lowest, free))

    def _at(self, values: Sequence[int]) -> list[Candidate]:
        return [candidate for value in values for candidate in self._judge(value, _COMBINATIONS)]

    def _judge(self, value: float, combinations: Sequence[tuple[Method, Location]]) -> list[Candidate]:
        """Every combination at one value, from loads simulated once at each of three amounts of free memory."""
        worlds: list[tuple[Request, list[Step]]] = []
        for offset in _OFFSETS:
            card = replace(self.request.card, free_mb=self.request.card.free_mb + offset, total_mb=self._total)
            world = replace(self.request, card=card, settings=Settings(value))
            worlds.append((world, simulated(world, self.prepared)))
        return [self._candidate(Settings(value, method, location), worlds) for method, location in combinations]

    @property
    def _total(self) -> float:
        return self.request.card.total

    def _candidate(self, settings: Settings, worlds: Sequence[tuple[Request, list[Step]]]) -> Candidate:
        plans = [judge(world.setting(settings), self.prepared, self.base, self.speed, steps) for world, steps in worlds]
        slack = min(self._slack(found) for found in plans)
        seconds = sum(weight * found.seconds[-1] for weight, found in zip(_WEIGHTS, plans, strict=True))
        fits = slack >= 0 and plans[0].pins and not any(peak.tiled for found in plans for peak in found.peaks)
        return Candidate(settings, plans[0], seconds, fits, slack)

    def _slack(self, found: Plan) -> float:
        """Bytes left at the tightest peak, beyond the margin."""
        share = 0.1 if self.speed.confidence == "estimated" else 0.05
        return min(
            peak.free - peak.needed - max(MARGIN_MB * MB, share * peak.needed) if peak.needed else float("inf")
            for peak in found.peaks
        )


def _advice(
    request: Request,
    search: _Search,
    tried: Sequence[Candidate],
    best: Candidate,
    now: Candidate,
    fork: Fork,
) -> Advice:
    total = int(request.card.total)
    chosen = [c for c in tried if _plainness(c.settings) == _plainness(best.settings)]
    curve = tuple(
        CurvePoint(c.mb, total - c.mb, round(c.plan.unet_swap / MB, 2), round(c.seconds, 3), c.fits) for c in chosen
    )
    peak = max((found.allocated for found in best.plan.peaks), default=0)
    expected = Expected(best.seconds, now.seconds, now.seconds / best.seconds, round(peak / MB, 2))
    return Advice(
        model=request.name or search.base,
        current=_setting(now.settings, total),
        recommended=_setting(best.settings, total),
        also_set=_also_set(search.base, fork, best.mb, total),
        expected=expected,
        curve=curve,
        because=(*reasons(request, best, now, tried, fork), *_smaller(request, search, best)),
        confidence=search.speed.confidence,
        flags=(f"--reserve-vram {max(0.1, round(best.mb / 1024, 1)):g}",) if fork == "neo" else (),
    )


def _setting(settings: Settings, total: int) -> Setting:
    mb = int(settings.inference_memory_mb)
    return Setting(mb, total - mb, settings.method, settings.location)


def _also_set(base: Base, fork: Fork, mb: int, total: int) -> dict[str, int]:
    """The preset that would undo the value when somebody opens the web page.

    Forge and reForge2 keep GPU weights there, ersatzForge the reserve; Neo has none, and SD1.5's preset no option.
    """
    key = {"sdxl": "xl_GPU_MB", "sdxl-refiner": "xl_GPU_MB", "flux-dev": "flux_GPU_MB", "flux-schnell": "flux_GPU_MB"}
    key["chroma"] = "flux_GPU_MB"
    if base not in key or fork == "neo":
        return {}
    return {key[base]: mb if fork == "ersatzforge" else total - mb}


def _smaller(request: Request, search: _Search, best: Candidate) -> tuple[str, ...]:
    """A word on storing in fp8, where it would save a tenth of the time.

    It halves what has to be on the card and changes the pictures a little, so it is only suggested.
    """
    unet = search.prepared.components.parts.get(UNET)
    if unet is None or unet.storage not in {"float16", "bfloat16"} or not best.plan.unet_swap:
        return ()
    made = plan(replace(_two_images(request).setting(best.settings), storage="float8-e4m3fn"), search.speed)
    if not made.fits or made.seconds[-1] > 0.9 * best.seconds:
        return ()
    seconds = f"{made.seconds[-1]:.1f} s an image"
    return (f"Diffusion in Low Bits float8-e4m3fn would take {seconds}, but it changes the pictures a little.",)
