"""`forgediag assets prometheus`: recording and alerting rules, and how to scrape."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from forgediag_exporters.alert import Alert, Recording
from forgediag_exporters.alerts_forge import FORGE_ALERTS
from forgediag_exporters.alerts_machine import CARD_ALERTS, MEMORY_ALERTS, OWN_ALERTS, RECORDINGS

RULES = "forgediag.rules.yml"
SCRAPE = "forgediag.scrape.yml"
DOCS = "docs"
"""Where alerts.md lies, as long as nobody says otherwise."""

ALERTS = (*FORGE_ALERTS, *MEMORY_ALERTS, *CARD_ALERTS, *OWN_ALERTS)


def files(docs: str = DOCS) -> dict[str, str]:
    """The rules, and the scrape configuration they expect (`job` is `forgediag`).

    Args:
        docs: the folder or the address that alerts.md lies below.
    """
    return {RULES: rules(docs), SCRAPE: SCRAPE_CONFIG}


SCRAPE_CONFIG = f"""\
# Add this to prometheus.yml, or name the file in its scrape_config_files (Prometheus 2.43 and later).
# The rules beside it want the job to be called forgediag:
#   rule_files: [{RULES}]
scrape_configs:
  - job_name: forgediag
    # Not longer than the shortest peak window (15 s): then no peak of GPU memory falls between two scrapes.
    scrape_interval: 15s
    static_configs:
      - targets: ["127.0.0.1:9836"]
"""


def rules(docs: str = DOCS) -> str:
    """The rule file, YAML: what is recorded first, for alerts use it."""
    recorded = [line for recording in RECORDINGS for line in _recording(recording)]
    alerting = [line for alert in ALERTS for line in _rule(alert, docs.rstrip("/"))]
    recorded = ["  - name: forgediag-recorded", "    rules:", *recorded]
    return "\n".join(["groups:", *recorded, "  - name: forgediag", "    rules:", *alerting, ""])


def _recording(recording: Recording) -> Iterator[str]:
    yield f"      # {recording.what[0].upper()}{recording.what[1:]}."
    yield f"      - record: {recording.name}"
    yield "        expr: |-"
    yield textwrap.indent(recording.expr, " " * 10)


def _rule(alert: Alert, docs: str) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield "        expr: |-"
    yield textwrap.indent(alert.expr, " " * 10)
    yield f"        for: {alert.wait}"
    yield "        labels:"
    yield f"          severity: {alert.severity}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(alert.summary, ensure_ascii=False)}"
    yield f"          description: {json.dumps(alert.description, ensure_ascii=False)}"
    yield f"          runbook_url: {json.dumps(f'{docs}/alerts.md#{alert.name.lower()}')}"
