"""Times and names as people read them; no folder of the machine among them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

from forgediag.model import (
    Files,
    Finding,
    Gap,
    Install,
    Listing,
    Options,
    Outcome,
    Process,
    Report,
    Severity,
    Target,
)
from forgediag_exporters.page.html import Html, tag

GLYPHS = {Severity.OK: "✓", Severity.UNKNOWN: "?", Severity.WARNING: "!", Severity.FAILURE: "✕"}
"""A sign beside the word and the colour of a severity."""

OUTCOMES: dict[Outcome, str] = {
    "done": "✓ done",
    "interrupted": "■ interrupted",
    "oom": "✕ out of memory",
    "failed": "✕ failed",
    "unknown": "? unknown",
}

COMPONENTS = {
    "KModel": "diffusion model",
    "JointTextEncoder": "text encoders",
    "IntegratedAutoencoderKL": "VAE",
    "ControlNet": "ControlNet",
}
"""Forge's names in its console, and what they are (Forge dfdcbab)."""


def span(seconds: float) -> str:
    """A duration."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def clock(at: float) -> Html:
    """A moment by the clock of this machine, from Unix seconds."""
    local = datetime.fromtimestamp(at, timezone.utc).astimezone()
    return tag("time", f"{local:%H:%M:%S}", datetime=local.isoformat(timespec="seconds"))


def base_name(path: str) -> str:
    """The last part of a path of either system."""
    return re.split(r"[\\/]", path)[-1]


def identity(*parts: str) -> str:
    """An id for an element: letters, digits and hyphens only."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-").lower()


def anchored(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Findings with an id for each, the same from report to report."""
    seen: Counter[str] = Counter()
    made: list[tuple[str, Finding]] = []
    for item in findings:
        name = identity("finding", item.target, item.check, base_name(item.subject))
        seen[name] += 1
        made.append((name if seen[name] == 1 else f"{name}-{seen[name]}", item))
    return made


def private(report: Report) -> Callable[[str], str]:
    """What takes the machine's folders out of a text: files stay with their names."""
    found = {path for target in report.snapshot.targets for path in _folders(target)}
    folders = sorted((path for path in found if len(path) > 1), key=len, reverse=True)
    if not folders:
        return str
    pattern = re.compile("(?:" + "|".join(map(re.escape, folders)) + r")[\\/]+")
    return lambda text: pattern.sub("", text)


def _folders(target: Target) -> Iterator[str]:
    for place in (target.install, target.process):
        if isinstance(place, Install | Process):
            yield place.directory.rstrip("\\/")
    for path in _paths(target):
        yield re.sub(r"[\\/]+[^\\/]*$", "", path)


def _paths(target: Target) -> Iterator[str]:
    if isinstance(target.files, Files):
        yield from target.files.unreadable
        for file in target.files.files:
            yield from (file.path, file.local)
    if isinstance(target.forge, Gap):
        return
    if isinstance(target.forge.options, Options):
        yield from target.forge.options.modules
    if isinstance(target.forge.listing, Listing):
        yield from (item.path for item in target.forge.listing.checkpoints)
        yield from (item.path for item in target.forge.listing.modules)
