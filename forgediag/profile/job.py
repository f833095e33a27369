"""A job put together: its phases from the console or else from progress answers, each with what the curves show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from forgediag.forge.log import BarMoved, Loaded, Seen, Unloaded
from forgediag.model import MB, Job, Outcome, Phase, Progress
from forgediag.profile.agreement import departures
from forgediag.profile.curve import Curve
from forgediag.profile.ledger import Weights
from forgediag.profile.phases import Span, Timeline, timeline

_VAE_ESTIMATE = 2178
"""Bytes Forge wants free a pixel, times its type's, before it decodes (Forge dfdcbab, backend/patcher/vae.py)."""

_ROOM = 1.3
"""How much more than a model's own size Forge makes room for (backend/memory_management.py)."""

_SETTLED = 0.02
"""Seconds into a phase from which the card's memory is taken for its own: two samples at 100 Hz."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything seen of one generation, in seconds of one clock; `wall` added to them gives Unix seconds."""

    target: str
    started: float
    ended: float
    outcome: Outcome
    wall: float
    events: Sequence[Seen] = ()
    progress: Sequence[tuple[float, Progress]] = ()
    device: Curve = field(default_factory=Curve)
    resident: Curve = field(default_factory=Curve)
    model: str | None = None
    family: str | None = None
    settings: Mapping[str, str | float] = field(default_factory=dict[str, str | float])
    weights: Mapping[str, int] = field(default_factory=dict[str, int])
    """Bytes on the card by component when the job began."""
    vae_bytes: int = 2
    """Bytes of a number the VAE computes in: 2 on cards from compute capability 8.0 on, else 4."""


def finished(seen: Recording) -> Job:
    """The job with its phases. What no source told stays None."""
    told = timeline(seen.events, seen.started, seen.ended)
    spans, source = (told.spans, "log") if told.spans else (progress_spans(seen), "progress")
    swapped = {load.target: int(load.swapped * MB) for load in told.loads if load.target}
    traffic = _traffic(seen, spans)
    steps = [bar.steps for bar in _bars(seen.events)] or [progress.steps for _, progress in seen.progress]
    return Job(
        target=seen.target,
        started=seen.started + seen.wall,
        ended=seen.ended + seen.wall,
        outcome=_outcome(seen.outcome, told),
        model=told.checkpoint or seen.model,
        family=seen.family,
        pixels=pixels(seen.events, seen.vae_bytes),
        steps=max(steps, default=0) or None,
        error=None if seen.outcome == "done" else told.error,
        settings=tuple(sorted(seen.settings.items())),
        phases=tuple(
            _phase(seen, span, swapped) if source == "progress" else _told(_phase(seen, span, swapped), traffic[index])
            for index, span in enumerate(spans)
        ),
        step_seconds=told.steps or _progress_steps(seen.progress),
        resident_start=seen.resident.at(seen.started),
        resident_end=seen.resident.at(seen.ended),
        device_start=seen.device.at(seen.started),
        device_end=seen.device.at(seen.ended),
        departures=departures(told.loads),
    )


def _bars(events: Sequence[Seen]) -> list[BarMoved]:
    return [seen.event for seen in events if isinstance(seen.event, BarMoved) and not seen.event.total]


def _outcome(outcome: Outcome, told: Timeline) -> Outcome:
    """What progress made of it, made sharper by the console: progress cannot tell an out-of-memory from a failure."""
    if told.out_of_memory and outcome in {"failed", "unknown"}:
        return "oom"
    return "failed" if told.error and outcome == "unknown" else outcome


def _traffic(seen: Recording, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Bytes (moved to the card, freed from it) in each phase."""
    weights = Weights(dict(seen.weights))
    sums = [(0, 0)] * len(spans)
    for item in seen.events:
        before = dict(weights.placed)
        weights.feed(item.event)
        moved = sum(max(0, size - before.get(name, 0)) for name, size in weights.placed.items())
        freed = sum(max(0, size - weights.placed.get(name, 0)) for name, size in before.items())
        at = next((index for index, span in enumerate(spans) if span.start <= item.began < span.end), None)
        if at is not None:
            sums[at] = sums[at][0] + moved, sums[at][1] + freed
    return sums


def _told(phase: Phase, traffic: tuple[int, int]) -> Phase:
    return replace(phase, seen_in="log", moved=traffic[0], freed=traffic[1])


def _phase(seen: Recording, span: Span, swapped: Mapping[str, int]) -> Phase:
    first = min(span.start + _SETTLED, (span.start + span.end) / 2)
    start, peak = seen.device.at(first), seen.device.peak(first, span.end)
    return Phase(
        name=span.name,
        start=span.start + seen.wall,
        end=span.end + seen.wall,
        seen_in="progress",
        device_start=start,
        device_peak=peak,
        above_weights=peak - start if peak is not None and start is not None and span.name == "sample" else None,
        swapped=swapped.get("KModel") if span.name in {"unet_load", "sample"} else None,
        resident_peak=seen.resident.peak(span.start, span.end),
    )


def progress_spans(seen: Recording) -> tuple[Span, ...]:
    """Load, sampling and what comes after the last step, as far as progress answers tell them.

    A job that loads has `job_count` -1; then steps are counted; after the last one the picture is decoded (seen on
    Forge dfdcbab). Limits are as sharp as the answers are dense.
    """
    loading = next((at for at, progress in seen.progress if not progress.loading), None)
    if loading is None:
        return ()
    first = next((at for at, progress in seen.progress if progress.step > 0), seen.ended)
    last = next((at for at, progress in seen.progress if 0 < progress.steps <= progress.step), seen.ended)
    spans = (
        Span("load", seen.started, loading),
        Span("other", loading, first),
        Span("sample", first, last),
        Span("vae_decode", last, seen.ended),
    )
    return tuple(span for span in spans if span.end > span.start)


def _progress_steps(progress: Sequence[tuple[float, Progress]]) -> tuple[float, ...]:
    """Seconds of the steps after the first: how long that one had begun before it was counted is not told."""
    steps: list[float] = []
    before: tuple[float, int] | None = None
    for at, now in progress:
        if before is not None and now.step > before[1]:
            done = now.step - before[1]
            steps += [(at - before[0]) / done] * done
        if now.step and (before is None or now.step != before[1]):
            before = at, now.step
    return tuple(steps)


def pixels(events: Sequence[Seen], element: int) -> int | None:
    """Width times height, from the room Forge makes before it decodes; None where the inference memory hides it.

    Args:
        events: the job's console events.
        element: bytes of a number the VAE computes in.
    """
    room: float | None = None
    for seen in events:
        event = seen.event
        if isinstance(event, Unloaded):
            room = event.needed
        elif isinstance(event, Loaded) and event.target == "IntegratedAutoencoderKL" and room is not None:
            wanted = room - _ROOM * (event.required - event.previous)
            if wanted > event.inference + 1:
                return round(wanted * MB / (_VAE_ESTIMATE * element))
    return None
