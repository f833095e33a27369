"""Exporters that come with forgediag."""

from __future__ import annotations

from forgediag.export import Asset, Exporter, StaticFile
from forgediag.model import Report
from forgediag_exporters.json import DOCUMENTS
from forgediag_exporters.page import PAGE
from forgediag_exporters.prometheus import PROMETHEUS
from forgediag_exporters.text import TEXTS


def _issue(report: Report) -> bytes:
    from forgediag_exporters.issue import issue  # noqa: PLC0415 - the daemon never needs it

    return issue(report)


def _grafana(docs: str) -> dict[str, str]:
    from forgediag_exporters.grafana import files  # noqa: PLC0415 - the daemon never needs it

    del docs
    return files()


def _prometheus(docs: str) -> dict[str, str]:
    from forgediag_exporters.rules import files  # noqa: PLC0415 - the daemon never needs it

    return files(docs)


def _service(kind: str) -> Asset:
    def files(docs: str) -> dict[str, str]:
        from forgediag_exporters.services import SERVICES  # noqa: PLC0415 - the daemon never needs it

        del docs
        return dict(SERVICES[kind])

    return Asset(kind, files)


ISSUE = Exporter("issue", None, "text/markdown; charset=utf-8", _issue)
ASSETS = (
    Asset("grafana", _grafana),
    Asset("prometheus", _prometheus),
    *map(_service, ("systemd", "windows", "compose", "kubernetes")),
)
EXPORTERS: tuple[Exporter | StaticFile | Asset, ...] = (*PROMETHEUS, *DOCUMENTS, *TEXTS, *PAGE, ISSUE, *ASSETS)
