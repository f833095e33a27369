"""`forgediag assets grafana`: the dashboards and the files that provision them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from forgediag_exporters.grafana_panel import DATASOURCE, DETAIL, Json, rendered
from forgediag_exporters.panel import Dashboard, Variable
from forgediag_exporters.panels_fleet import FLEET_ROWS
from forgediag_exporters.panels_forge import FORGE_ROWS
from forgediag_exporters.panels_jobs import JOB_ROWS
from forgediag_exporters.panels_machine import MACHINE_ROWS

COLUMNS = 24
TAG = "forgediag"

JOB = Variable("job", "Job", "label_values(forgediag_build_info, job)")
INSTANCE = 'label_values(forgediag_build_info{job=~"$job"}, instance)'
FORGE = Variable("target", "Forge", 'label_values(forge_up{job=~"$job", instance=~"$instance"}, target)')
GPU = Variable("gpu", "GPU", 'label_values(forge_gpu_info{job=~"$job", instance=~"$instance"}, gpu)')

DASHBOARDS = (
    Dashboard(
        f"{DETAIL}-fleet",
        "Forges",
        "All Forges: which one needs somebody, and how busy are they? A click leads to one of them.",
        (JOB, Variable("instance", "Instance", INSTANCE), FORGE),
        FLEET_ROWS,
        refresh="30s",
        since="now-6h",
    ),
    Dashboard(
        DETAIL,
        "Forge",
        "Stable Diffusion WebUI Forge: is it well, who holds its card's memory, what should be set.",
        (JOB, Variable("instance", "Instance", INSTANCE, multiple=False), FORGE, GPU),
        (*FORGE_ROWS, *JOB_ROWS, *MACHINE_ROWS),
    ),
)
"""The fleet, and one machine in detail: one at a time, for two machines both have a GPU 0."""

LINT = """\
# For Grafana's dashboard-linter.
exclusions:
  template-instance-rule:
    reason: One machine at a time, for two of them both have a GPU 0.
    entries:
      - dashboard: Forge
"""

DATASOURCES = """\
# For /etc/grafana/provisioning/datasources/. Leave it out when Grafana already knows your Prometheus.
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    access: proxy
    url: http://127.0.0.1:9090
    jsonData:
      timeInterval: 15s
"""

PROVIDER = """\
# For /etc/grafana/provisioning/dashboards/. `path` is the folder that the dashboards' JSON files lie in.
apiVersion: 1
providers:
  - name: forgediag
    type: file
    options:
      path: /var/lib/grafana/dashboards/forgediag
"""


def files() -> dict[str, str]:
    """The dashboards, what the linter may leave out, and both provisioning files."""
    written = {f"dashboards/{each.uid}.json": json.dumps(dashboard(each), indent=2) + "\n" for each in DASHBOARDS}
    return written | {
        "dashboards/.lint": LINT,
        "provisioning/dashboards/forgediag.yml": PROVIDER,
        "provisioning/datasources/forgediag.yml": DATASOURCES,
    }


def dashboard(shown: Dashboard) -> Json:
    """A dashboard in Grafana's JSON model (schema 39: Grafana 11; older ones from 9 on read it too)."""
    link = {"title": "forgediag", "type": "dashboards", "tags": [TAG], "asDropdown": False, "keepTime": True}
    return {
        "uid": shown.uid,
        "title": shown.title,
        "description": shown.description,
        "tags": [TAG, "stable-diffusion"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": shown.refresh,
        "time": {"from": shown.since, "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *map(_variable, shown.variables)]},
        "annotations": {"list": []},
        "links": [link | {"includeVars": False, "targetBlank": False}],
        "panels": list(_placed(shown)),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> Json:
    shown: Json = {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": variable.query,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "sort": 3,
        "multi": variable.multiple,
        "includeAll": variable.multiple,
    }
    if variable.multiple:
        shown |= {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}}
    return shown


def _placed(shown: Dashboard) -> Iterator[Json]:
    """Rows and panels from left to right, a new line whenever one is full."""
    y = number = 0
    for row in shown.rows:
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **rendered(panel)}
            x, height = x + panel.width, max(height, panel.height)
        y += height
