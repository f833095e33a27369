"""The phases of a generation, from the events of Forge's console between its beginning and its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from forgediag.forge.log import (
    BarMoved,
    LoadBegan,
    Loaded,
    ModelLoaded,
    Moved,
    OutOfMemory,
    Raised,
    Seen,
    Tiled,
    Unloaded,
)
from forgediag.model import PhaseName

_VAE = "IntegratedAutoencoderKL"
_TEXT = "TextEncoder"
_POLLED = "ResponseValidationError"
"""What GET /sdapi/v1/cmd-flags raises with --port (seen on Forge dfdcbab): it is asked for from outside, by no job."""


@dataclass(frozen=True, slots=True)
class Span:
    """A phase's name and limits, in seconds of the clock the events were seen with."""

    name: PhaseName
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the console told of one generation.

    `steps` are the seconds of each sampling step; steps that tqdm printed together share their time. `loads` are the
    models placed, in order. `error` is the first one raised, as `Type: message`.
    """

    spans: tuple[Span, ...]
    steps: tuple[float, ...] = ()
    loads: tuple[Loaded, ...] = ()
    checkpoint: str | None = None
    error: str | None = None
    out_of_memory: bool = False
    tiled: bool = False


@dataclass(slots=True)
class _Marks:
    """The phase that is on, since when, and what tells the next one."""

    at: list[tuple[float, PhaseName]] = field(default_factory=list[tuple[float, PhaseName]])
    pending: float | None = None
    sampled: float | None = None
    """When the last step was done, while nothing has come after it."""

    @property
    def current(self) -> PhaseName | None:
        return self.at[-1][1] if self.at else None

    def enter(self, name: PhaseName, at: float) -> None:
        if name != self.current:
            self.at.append((at, name))
        self.pending = None


def timeline(events: Sequence[Seen], started: float, ended: float) -> Timeline:
    """The phases between `started` and `ended`, which follow one another without a gap from the first one told.

    What marks them (seen on Forge dfdcbab): `Loading Model:` begins a load; before a model is placed Forge makes room
    (`[Unload]`), so its phase begins there; a UNet that is in its place, or the first progress bar, begins sampling;
    room made after the last step is for the VAE, though it may be on the card already. On a CPU the placed models have
    no names (the one before a progress bar is the UNet), and a VAE that is in its place prints nothing: what comes
    after the last step is its work.
    """
    marks = _Marks()
    for index, seen in enumerate(events):
        _mark(marks, seen, islice(events, index + 1, None))
    if marks.current == "sample" and marks.sampled is not None:
        marks.enter("vae_decode", marks.sampled)
    limits = [at for at, _ in marks.at[1:]] + [ended]
    spans = [Span(name, max(at, started), end) for (at, name), end in zip(marks.at, limits, strict=False)]
    raised = [
        seen.event for seen in events if isinstance(seen.event, Raised) and not seen.event.error.endswith(_POLLED)
    ]
    return Timeline(
        spans=tuple(span for span in spans if span.end > span.start),
        steps=_steps(events),
        loads=tuple(seen.event for seen in events if isinstance(seen.event, Loaded)),
        checkpoint=next((seen.event.checkpoint for seen in events if isinstance(seen.event, LoadBegan)), None),
        error=f"{raised[0].error}: {raised[0].message}".rstrip(": ") if raised else None,
        out_of_memory=any(isinstance(seen.event, OutOfMemory) for seen in events),
        tiled=any(isinstance(seen.event, Tiled) for seen in events),
    )


def _mark(marks: _Marks, seen: Seen, later: Iterable[Seen]) -> None:
    event = seen.event
    if isinstance(event, LoadBegan):
        marks.enter("load", seen.began)
    elif isinstance(event, ModelLoaded):
        marks.enter("other", seen.at)
    elif isinstance(event, Unloaded) and marks.current != "load":
        _make_room(marks, seen, later)
    elif isinstance(event, Loaded):
        _place(marks, seen, event, later)
    elif isinstance(event, Moved) and marks.current == "unet_load":
        marks.enter("sample", seen.at)
        marks.sampled = None
    elif isinstance(event, BarMoved):
        _step(marks, event, seen.at)


def _make_room(marks: _Marks, seen: Seen, later: Iterable[Seen]) -> None:
    following = next((item.event for item in later if isinstance(item.event, Loaded | Unloaded | BarMoved)), None)
    if isinstance(following, Loaded):
        marks.pending = seen.began
    elif marks.current == "sample" and marks.sampled is not None:
        marks.enter("vae_decode", seen.began)
        marks.sampled = None
    elif isinstance(following, BarMoved) and following.step < following.steps:
        marks.enter("sample", seen.began)
        marks.sampled = None


def _place(marks: _Marks, seen: Seen, event: Loaded, later: Iterable[Seen]) -> None:
    began = seen.began if marks.pending is None else marks.pending
    if event.target is None:
        name = _nameless(marks, later)
    elif event.target == _VAE:
        name = "vae_decode" if marks.sampled is not None or marks.current == "vae_decode" else "vae_encode"
    else:
        name = "text_encode" if _TEXT in event.target else "unet_load"
    if not (name == "unet_load" and marks.current == "sample"):
        marks.enter(name, began)
    marks.pending = None


def _nameless(marks: _Marks, later: Iterable[Seen]) -> PhaseName:
    if marks.sampled is not None:
        return "vae_decode"
    following = next((item.event for item in later if isinstance(item.event, Loaded | BarMoved)), None)
    return "unet_load" if isinstance(following, BarMoved) else "text_encode"


def _step(marks: _Marks, event: BarMoved, at: float) -> None:
    if event.step < event.steps and marks.current != "sample":
        marks.enter("sample", at)
    if marks.current == "sample":
        marks.sampled = at if event.step >= event.steps else None


def _steps(events: Sequence[Seen]) -> tuple[float, ...]:
    """Seconds of each step, from whichever of Forge's two bars was printed more often."""
    bars = [(seen.at, seen.event) for seen in events if isinstance(seen.event, BarMoved)]
    own = [(at, bar) for at, bar in bars if not bar.total]
    total = [(at, bar) for at, bar in bars if bar.total]
    chosen = own if len(own) >= len(total) else total
    steps: list[float] = []
    for (before, first), (at, bar) in pairwise(chosen):
        done = bar.step - first.step
        if done > 0 and bar.steps == first.steps:
            steps += [(at - before) / done] * done
    return tuple(steps)
