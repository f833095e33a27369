"""The one dynamic place: checks and exporters found through entry points."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from forgediag.check import Check
from forgediag.export import Asset, Exporter, StaticFile


def checks() -> tuple[Check, ...]:
    """Every installed check, in the order their packages list them."""
    return tuple(item for item in _load("forgediag.checks") if isinstance(item, Check))


def exporters() -> tuple[Exporter, ...]:
    """Every installed exporter."""
    return tuple(item for item in _load("forgediag.exporters") if isinstance(item, Exporter))


def files() -> tuple[StaticFile, ...]:
    """Every installed file that belongs to an exporter's page."""
    return tuple(item for item in _load("forgediag.exporters") if isinstance(item, StaticFile))


def assets() -> tuple[Asset, ...]:
    """Every installed set of asset files (dashboards, rules)."""
    return tuple(item for item in _load("forgediag.exporters") if isinstance(item, Asset))


def _load(group: str) -> Iterable[object]:
    for entry in entry_points(group=group):
        yield from entry.load()
