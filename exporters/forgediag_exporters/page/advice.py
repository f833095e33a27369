"""Which memory setting would be better, and by how much? The advice, and its curve with "you are here"."""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.model import Advice, Gap, Known, Setting, Target
from forgediag.tradeoff import Frame, Marks, marks
from forgediag_exporters.page.html import Html, join, tag
from forgediag_exporters.page.words import identity, span

HIGH = 200
"""Pixels of the curve."""


def advice(target: Target, item: Known[Advice] | None) -> Html | None:
    """The recommendation; a reason where there is none."""
    if item is None:
        return None
    name = identity("advice", target.name)
    inside = tag("p", f"No advice: {item.reason}.") if isinstance(item, Gap) else _advice(item, name)
    return tag("section", tag("h3", "The memory setting", id=f"{name}-t"), inside, id=name, aria_labelledby=f"{name}-t")


def _advice(item: Advice, name: str) -> Html:
    drawn = marks(item)
    return join(
        tag("p", _headline(item)),
        tag("dl", _settings(item), class_="facts"),
        _chart(drawn, item, name) if drawn else None,
        tag(
            "details",
            tag("summary", "Why, and how to set it"),
            tag("ul", (tag("li", reason) for reason in item.because)),
            tag("p", tag("code", "forgediag recommend --apply"), " sets it, reads it back and says how to undo it."),
            tag("p", f"For {item.model}; numbers {item.confidence}."),
            id=f"{name}-why",
        ),
    )


def _headline(item: Advice) -> Html:
    seconds, now = item.expected.per_image_seconds, item.expected.current_per_image_seconds
    if item.current == item.recommended:
        return tag("strong", "Leave it: no other setting is better for this model.")
    if seconds is None or now is None:
        return tag("strong", "Another setting is better for this model.")
    if now / seconds >= 1.05:
        return join(
            tag("strong", f"{now / seconds:.1f} times as fast"), f": {span(seconds)} an image instead of {span(now)}."
        )
    return join(tag("strong", "About as fast, and safer"), f": {span(seconds)} an image.")


def _settings(item: Advice) -> Iterator[Html]:
    if item.current is not None:
        yield join(tag("dt", "now"), tag("dd", _setting(item.current)))
    if item.current != item.recommended:
        yield join(tag("dt", "better"), tag("dd", _setting(item.recommended)))
        for option, value in item.also_set.items():
            yield join(tag("dt", "also set"), tag("dd", f"{option} {value}"))
    if item.flags:
        yield join(tag("dt", "start with"), tag("dd", tag("code", " ".join(item.flags))))


def _setting(setting: Setting) -> Html:
    return join(
        f"inference memory {setting.forge_inference_memory} MB = GPU Weights {setting.gpu_weights_mb} MB, ",
        f"{setting.forge_async_loading} + {setting.forge_pin_shared_memory}",
    )


def _chart(drawn: Marks, item: Advice, name: str) -> Html:
    best, seconds = drawn.best
    told = f"The recommended {best:g} MB take {span(seconds)} an image."
    if drawn.here is not None:
        told += f" You are at {drawn.here[0]:g} MB with {span(drawn.here[1])}."
    points = " ".join(f"{_x(mb, drawn.frame):.1f},{_y(spent, drawn.frame)}" for mb, spent, _ in drawn.curve)
    line = tag("polyline", points=points, class_="line")
    return tag(
        "svg",
        tag("title", f"Seconds an image over inference memory, for {item.model}", id=f"{name}-s"),
        tag("desc", told, id=f"{name}-d"),
        _axes(drawn.frame),
        tag("svg", line, viewBox=f"0 0 1000 {HIGH}", preserveAspectRatio="none", width="100%", height=HIGH),
        _unfit(drawn),
        _marked(drawn),
        class_="chart curve",
        role="img",
        aria_labelledby=f"{name}-s {name}-d",
    )


def _x(mb: float, frame: Frame) -> float:
    return 20 + frame.x(min(max(mb, frame.left), frame.right), 960)


def _y(seconds: float, frame: Frame) -> float:
    return round(HIGH - frame.y(seconds, HIGH - 30), 1)


def _axes(frame: Frame) -> Iterator[Html]:
    for seconds in (frame.high, (frame.high + frame.low) / 2):
        y = _y(seconds, frame)
        yield tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
        yield tag("text", f"{seconds:.1f} s", x="4", y=y - 4)
    yield tag("line", x1="0", x2="100%", y1=HIGH, y2=HIGH, class_="axis")
    yield tag("text", f"{frame.left:g} MB", x="0", y=HIGH + 18)
    yield tag("text", "inference memory", x="50%", y=HIGH + 18, text_anchor="middle")
    yield tag("text", f"{frame.right:g} MB", x="100%", y=HIGH + 18, text_anchor="end")


def _unfit(drawn: Marks) -> Iterator[Html]:
    """A cross at each point that may run out of memory."""
    unfit = [(mb, seconds) for mb, seconds, fits in drawn.curve if not fits]
    for mb, seconds in unfit:
        x, y = f"{_x(mb, drawn.frame) / 10:.2f}%", _y(seconds, drawn.frame)
        yield tag("text", "✕", x=x, y=y + 4, text_anchor="middle", class_="unfit")
    if unfit:
        yield tag("text", "✕ may run out of memory", x="100%", y="14", text_anchor="end", class_="unfit")


def _marked(drawn: Marks) -> Iterator[Html]:
    placed = [("best", "recommended", drawn.best, 22)]
    if drawn.here is not None:
        same = drawn.here[0] == drawn.best[0]
        placed.insert(0, ("here", "you are here", drawn.here, -14))
        if same:
            placed = [("here", "you are here: recommended", drawn.here, -14)]
    for kind, label, (mb, seconds), below in placed:
        at, y = _x(mb, drawn.frame) / 10, _y(seconds, drawn.frame)
        anchor = "start" if at < 25 else "end" if at > 75 else "middle"
        text_y = y + below if y + below < HIGH - 2 else y - 14
        yield tag("circle", cx=f"{at:.2f}%", cy=y, r="7", class_=kind)
        yield tag("text", label, x=f"{at:.2f}%", y=text_y, text_anchor=anchor, class_=f"label {kind}")
