"""`forgediag assets grafana`: the dashboard and the files that provision it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forgediag_exporters.panel import Panel
from forgediag_exporters.panels_forge import FORGE_ROWS
from forgediag_exporters.panels_machine import MACHINE_ROWS

Json = dict[str, Any]

UID = "forgediag"
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24

VARIABLES = (
    ("job", "Job", "label_values(forgediag_build_info, job)", False),
    ("instance", "Machine", 'label_values(forgediag_build_info{job=~"$job"}, instance)', False),
    ("target", "Forge", 'label_values(forge_up{job=~"$job", instance=~"$instance"}, target)', True),
    ("gpu", "GPU", 'label_values(forge_gpu_info{job=~"$job", instance=~"$instance"}, gpu)', True),
)
"""Name, label and query of each variable, and whether more than one value may be chosen.

Each query may use the variables before it. One machine at a time: two of them both have a GPU 0.
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
# For /etc/grafana/provisioning/dashboards/. `path` is the folder that forgediag.json lies in.
apiVersion: 1
providers:
  - name: forgediag
    type: file
    options:
      path: /var/lib/grafana/dashboards/forgediag
"""


def files() -> dict[str, str]:
    """The dashboard and both provisioning files."""
    return {
        "dashboards/forgediag.json": json.dumps(dashboard(), indent=2) + "\n",
        "provisioning/dashboards/forgediag.yml": PROVIDER,
        "provisioning/datasources/forgediag.yml": DATASOURCES,
    }


def dashboard() -> Json:
    """The dashboard in Grafana's JSON model (schema 39: Grafana 11; older ones from 9 on read it too)."""
    return {
        "uid": UID,
        "title": "Forge",
        "description": "Stable Diffusion WebUI Forge: is it well, who holds its card's memory, what should be set.",
        "tags": ["forgediag", "stable-diffusion"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *(_variable(*variable) for variable in VARIABLES)]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed()),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(name: str, label: str, query: str, multiple: bool) -> Json:  # noqa: FBT001 - a row of VARIABLES
    variable: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 3,
        "multi": multiple,
        "includeAll": multiple,
    }
    if multiple:
        variable |= {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}}
    return variable


def _placed() -> Iterator[Json]:
    """Rows and panels from left to right, a new line whenever one is full."""
    y = number = 0
    for row in (*FORGE_ROWS, *MACHINE_ROWS):
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _panel(panel: Panel) -> Json:
    shown: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _options(panel),
    }
    if panel.repeat:
        shown |= {"repeat": panel.repeat, "repeatDirection": "v"}
    return shown


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "color": {"mode": "palette-classic"}}
    if panel.kind != "state-timeline":
        defaults["min"] = 0
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.mapping:
        options = {
            f"{value:g}": {"text": text, "color": color, "index": index}
            for index, (value, text, color) in enumerate(panel.mapping)
        }
        defaults |= {"mappings": [{"type": "value", "options": options}], "color": {"mode": "fixed"}}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 60 if panel.stacked else 10
        defaults["custom"] = {"fillOpacity": fill, "lineWidth": 1, "stacking": stacking, "showPoints": "never"}
    return defaults


def _overrides(panel: Panel) -> Iterator[Json]:
    if panel.lines:
        properties: list[Json] = [
            {"id": "custom.stacking", "value": {"mode": "none"}},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 4]}},
        ]
        yield {"matcher": {"id": "byRegexp", "options": f"/{panel.lines}/"}, "properties": properties}


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        named = len(panel.mapping) == 1
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "name" if named else "value_and_name",
            "colorMode": "value" if named else "background",
            "graphMode": "none",
        }
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if panel.kind == "state-timeline":
        return {"mergeValues": True, "showValue": "never", "rowHeight": 0.8, "legend": legend}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
