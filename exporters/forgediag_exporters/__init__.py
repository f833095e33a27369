"""Exporters that come with forgediag."""

from __future__ import annotations

from forgediag.export import Asset, Exporter, StaticFile
from forgediag_exporters.issue import ISSUE
from forgediag_exporters.json import DOCUMENTS
from forgediag_exporters.page import PAGE
from forgediag_exporters.prometheus import PROMETHEUS
from forgediag_exporters.text import TEXTS


def _grafana() -> dict[str, str]:
    from forgediag_exporters.grafana import files  # noqa: PLC0415 - the daemon never needs it

    return files()


def _prometheus() -> dict[str, str]:
    from forgediag_exporters.rules import files  # noqa: PLC0415 - the daemon never needs it

    return files()


ASSETS = (Asset("grafana", _grafana), Asset("prometheus", _prometheus))
EXPORTERS: tuple[Exporter | StaticFile | Asset, ...] = (*PROMETHEUS, *DOCUMENTS, *TEXTS, *PAGE, ISSUE, *ASSETS)
