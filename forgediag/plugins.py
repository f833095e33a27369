"""The one dynamic place: checks and exporters found through entry points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from operator import attrgetter

from forgediag.check import Check
from forgediag.export import Asset, Exporter, StaticFile

CHECKS, EXPORTERS = "forgediag.checks", "forgediag.exporters"

Installed = Mapping[str, Sequence[str]]
"""What each entry point group names, as `module:attribute`."""


def installed() -> Installed:
    """What is installed for both groups. A daemon asks another process: it takes 0.6 MB never needed again."""
    from importlib.metadata import entry_points  # noqa: PLC0415

    return {group: [entry.value for entry in entry_points(group=group)] for group in (CHECKS, EXPORTERS)}


def checks(found: Installed | None = None) -> tuple[Check, ...]:
    """Every installed check, in the order their packages list them."""
    return tuple(item for item in _load(CHECKS, found) if isinstance(item, Check))


def exporters(found: Installed | None = None) -> tuple[Exporter, ...]:
    """Every installed exporter."""
    return tuple(item for item in _load(EXPORTERS, found) if isinstance(item, Exporter))


def files(found: Installed | None = None) -> tuple[StaticFile, ...]:
    """Every installed file that belongs to an exporter's page."""
    return tuple(item for item in _load(EXPORTERS, found) if isinstance(item, StaticFile))


def assets() -> tuple[Asset, ...]:
    """Every installed set of asset files (dashboards, rules)."""
    return tuple(item for item in _load(EXPORTERS, None) if isinstance(item, Asset))


def _load(group: str, found: Installed | None) -> Iterable[object]:
    for name in (installed() if found is None else found)[group]:
        module, _, attribute = name.partition(":")
        yield from attrgetter(attribute)(import_module(module))
