"""Exporters that come with forgediag."""

from __future__ import annotations

from forgediag.export import Asset, Exporter
from forgediag_exporters.json import DOCUMENTS
from forgediag_exporters.prometheus import PROMETHEUS
from forgediag_exporters.text import TEXTS

EXPORTERS: tuple[Exporter | Asset, ...] = (*PROMETHEUS, *DOCUMENTS, *TEXTS)
