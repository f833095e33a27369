"""Exporters that come with forgediag."""

from forgediag.export import Asset, Exporter

EXPORTERS: tuple[Exporter | Asset, ...] = ()
