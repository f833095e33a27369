"""What holds the card's memory now? The ledger as one bar with a list."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.model import Gap, Gpu, GpuMemory, Ledger, Part, Target
from forgediag.recording.chart import PARTS
from forgediag_exporters.page.html import Html, join, tag
from forgediag_exporters.page.words import COMPONENTS, identity
from forgediag_exporters.text import size

ORDER = ("driver", "context", "weights", "activations", "cache", "unexplained", "others", "free")
"""Parts from left to right: what is always there first, what could be had last."""

LABELLED = 0.13
"""Part of the bar from which its name is written into it: it would not fit a smaller one on a phone."""


def card(target: Target) -> Html:
    """The bar, or why there is none."""
    name = identity("card", target.name)
    gpu = target.gpu
    if isinstance(gpu, Gap):
        inside = tag("p", f"No card to show: {gpu.reason}.")
    elif not isinstance(gpu.memory, GpuMemory):
        inside = tag("p", f"Its memory cannot be read: {gpu.memory.reason}.")
    else:
        inside = join(tag("p", _now(gpu, gpu.memory)), _ledger(target.ledger, name) if target.ledger else None)
    title = "The card" if isinstance(gpu, Gap) else gpu.info.name
    return tag("section", tag("h3", title, id=f"{name}-t"), inside, id=name, aria_labelledby=f"{name}-t")


def _now(gpu: Gpu, memory: GpuMemory) -> Html:
    window = max(gpu.peaks, default=0)
    peak = f", at most {size(gpu.peaks[window])} in the last {window // 60 or 1} min" if window else ""
    return join(tag("strong", f"{size(memory.used)} of {size(memory.total)}"), f" used{peak}.")


def _ledger(ledger: Ledger, name: str) -> Html:
    parts = sorted(ledger.parts, key=lambda part: ORDER.index(part.name))
    told = ", ".join(f"{_name(part)} {size(part.size)}" for part in parts)
    return join(
        tag(
            "svg",
            tag("title", "What holds the card's memory", id=f"{name}-s"),
            tag("desc", f"{told}.", id=f"{name}-d"),
            _bar(parts, ledger.total),
            class_="bar",
            role="img",
            aria_labelledby=f"{name}-s {name}-d",
        ),
        tag("ul", (_row(part, ledger.total) for part in parts), class_="legend"),
    )


def _name(part: Part) -> str:
    if part.component is None:
        return PARTS[part.name]
    return f"{PARTS[part.name]}: {COMPONENTS.get(part.component, part.component)}"


def _bar(parts: Sequence[Part], total: int) -> list[Html]:
    drawn: list[Html] = []
    at = 0.0
    for part in parts:
        share = part.size / total
        label = part.component is not None and COMPONENTS.get(part.component, part.component)
        text = tag("text", label or PARTS[part.name], x="8", y="27") if share >= LABELLED else None
        drawn.append(
            tag(
                "svg",
                tag("title", f"{_name(part)}: {size(part.size)}"),
                tag("rect", width="100%", height="44"),
                text,
                x=f"{100 * at:.2f}%",
                width=f"{100 * share:.2f}%",
                height="44",
                class_=f"part {part.name}",
            )
        )
        at += share
    return drawn


def _row(part: Part, total: int) -> Html:
    how = {"read": None, "computed": " (computed)", "inferred": " (inferred)"}[part.basis]
    return tag(
        "li",
        swatch(part.name),
        tag("span", _name(part), class_="what"),
        tag("span", size(part.size), class_="amount"),
        tag("span", f"{part.size / total:.0%}", tag("span", how, class_="unseen"), class_="share"),
    )


def swatch(kind: str) -> Html:
    """A square in the colour of a part or phase."""
    return tag(
        "svg",
        tag("rect", width="12", height="12"),
        class_=f"swatch part {kind}",
        viewBox="0 0 12 12",
        aria_hidden="true",
    )
