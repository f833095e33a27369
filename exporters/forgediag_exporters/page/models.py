"""Are the model files whole and do they load? What is set that decides about memory?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import shorten

from forgediag.model import (
    MB,
    Files,
    Forge,
    Gap,
    ModelFile,
    Options,
    Prediction,
    Report,
    Severity,
    Target,
    Verification,
)
from forgediag_exporters.page.html import Html, Node, join, table, tag
from forgediag_exporters.page.words import anchored, base_name, identity
from forgediag_exporters.text import size

COLUMNS = ("file", "kind", "size", "health")

SHOWN = 40
"""Files listed at most; those selected or damaged come first."""

LONGEST = 160
"""Characters of Forge's error that are shown; the finding has all of it."""

Private = Callable[[str], str]


def models(target: Target, report: Report, private: Private) -> Html | None:
    """The selected files and the damaged ones; the others are folded away."""
    files = target.files
    if isinstance(files, Gap):
        if isinstance(target.forge, Gap):
            return None
        return _section(target, tag("p", f"The model files cannot be looked at: {private(files.reason)}."))
    told = {
        base_name(item.subject): anchor
        for anchor, item in reversed(anchored(report.findings))
        if item.target == target.name and item.severity >= Severity.WARNING
    }
    first = [file for file in files.files if file.selected or file.fault is not None]
    first.sort(key=lambda file: (file.fault is None, not file.selected, file.role))
    others = [file for file in files.files if not file.selected and file.fault is None]
    name = identity("models", target.name)
    return _section(
        target,
        tag("p", _outlook(files.prediction, private)) if files.prediction is not None else None,
        table(COLUMNS, _rows(first, told, private)) if first else None,
        tag(
            "details",
            tag("summary", f"{len(others)} more file{'s' * (len(others) != 1)}, nothing wrong seen"),
            table(COLUMNS, _rows(others[:SHOWN], told, private)),
            tag("p", f"and {len(others) - SHOWN} more") if len(others) > SHOWN else None,
            id=f"{name}-others",
        )
        if others
        else None,
        tag("p", _verified(target.verification), class_="quiet")
        if isinstance(target.verification, Verification)
        else None,
        tag("p", private(_rest(files)), class_="quiet") if files.pending or files.unreadable else None,
    )


def _section(target: Target, *inside: Html | None) -> Html:
    name = identity("models", target.name)
    return tag(
        "section", tag("h3", "Model files", id=f"{name}-t"), inside, id=name, class_="wide", aria_labelledby=f"{name}-t"
    )


def _verified(known: Verification) -> str:
    """How many are what they were, and how far the reading of all of them has come."""
    wrong = sum(count for verdict, count in known.counts.items() if verdict not in {"ok", "pending"})
    against = "the lock file" if known.against == "lock" else "their first read"
    done = known.fresh / known.total if known.total else 1.0
    return f"Read anew against {against}: {known.counts.get('ok', 0)} unchanged, {wrong} not; {done:.0%} of this round."


def _rest(files: Files) -> str:
    told: list[str] = []
    if files.pending:
        told.append(f"{files.pending} not looked at yet")
    if files.unreadable:
        path, reason = next(iter(files.unreadable.items()))
        told.append(f"{len(files.unreadable)} cannot be read here ({base_name(path)}: {reason})")
    return "; ".join(told) + "."


def _outlook(prediction: Prediction | Gap, private: Private) -> Html:
    if isinstance(prediction, Gap):
        return join(f"Whether the selection loads is not known: {private(prediction.reason)}.")
    if prediction.error is not None:
        said = f"{prediction.error.type}: {prediction.error.message}"
        return join(
            tag("strong", "✕ Forge will not load this selection: "), shorten(private(said), LONGEST, placeholder=" …")
        )
    return tag("strong", "✓ Forge will load this selection.")


def _rows(files: Iterable[ModelFile], told: Mapping[str, str], private: Private) -> Iterator[Sequence[Node]]:
    for file in files:
        chip = tag("span", " selected", class_="chip") if file.selected else None
        kind = f"{file.family} {file.role}, {file.format}"
        yield (
            (base_name(file.path), chip),
            kind,
            size(file.size),
            _health(file, told.get(base_name(file.path)), private),
        )


def _health(file: ModelFile, finding: str | None, private: Private) -> Html:
    if file.fault is not None:
        return tag("span", f"✕ {private(file.fault.message)}", class_="outcome failed")
    digest = None if isinstance(file.sha256, Gap) else tag("code", file.sha256[:10])
    if finding is not None:
        return join(
            tag("span", "! ", tag("a", "there is a finding", href=f"#{finding}"), class_="outcome"), " ", digest
        )
    return join(tag("span", "✓ whole", class_="outcome done"), " ", digest)


def settings(target: Target, report: Report) -> Html | None:
    """What decides about memory, and what Forge really works with."""
    forge = target.forge
    if isinstance(forge, Gap) or not isinstance(forge.options, Options):
        return None
    name = identity("settings", target.name)
    return tag(
        "section",
        tag("h3", "What is set", id=f"{name}-t"),
        tag(
            "dl", (join(tag("dt", key), tag("dd", value)) for key, value in _set(target, forge, forge.options, report))
        ),
        id=name,
        aria_labelledby=f"{name}-t",
    )


def _set(target: Target, forge: Forge, options: Options, report: Report) -> Iterator[tuple[str, str]]:
    yield "checkpoint", base_name(options.checkpoint or "nothing")
    if options.modules:
        yield "modules", ", ".join(map(base_name, options.modules))
    inference = options.inference_memory_mb
    if inference is not None:
        yield "inference memory", f"{inference:g} MB kept free of weights"
        if not isinstance(target.gpu, Gap):
            yield "GPU Weights", f"{target.gpu.info.total // MB - inference:g} MB at most on the card"
        tally = report.snapshot.tallies.get(target.name)
        effective = tally.effective_inference_memory if tally else None
        if effective is not None and effective // MB != int(inference):
            yield "in effect", f"! {effective // MB} MB: Forge works with this, whatever is set"
    how = [options.text("forge_async_loading"), options.text("forge_pin_shared_memory")]
    if any(how):
        yield "swap", " + ".join(filter(None, how))
    if storage := options.text("forge_unet_storage_dtype"):
        yield "stored as", storage
    if not isinstance(forge.fork, Gap):
        yield "fork", forge.fork
