"""A panel in Grafana's JSON model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forgediag_exporters.panel import Mapping, Panel, Query

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
DETAIL = "forgediag"
"""Uid of the dashboard that shows one Forge."""


def rendered(panel: Panel) -> Json:
    """The panel, without its id and place."""
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
                "range": not _instant(panel),
                "instant": _instant(panel),
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _options(panel),
    }
    if panel.kind == "table":
        shown["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True, "job": True}}},
        ]
    if panel.repeat:
        shown |= {"repeat": panel.repeat, "repeatDirection": "v"}
    return shown


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "color": {"mode": "palette-classic"}}
    if panel.kind != "state-timeline" and not panel.below_zero:
        defaults["min"] = 0
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.mapping:
        defaults |= {"mappings": _words(panel.mapping), "color": {"mode": "fixed"}}
    if panel.drill:
        defaults["links"] = [{"title": "This Forge in detail", "url": _detail(panel), "targetBlank": False}]
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 60 if panel.stacked else 10
        defaults["custom"] = {"fillOpacity": fill, "lineWidth": 1, "stacking": stacking, "showPoints": "never"}
    return defaults


def _instant(panel: Panel) -> bool:
    return panel.kind in {"stat", "table"}


def _words(mapping: Mapping) -> list[Json]:
    options = {
        f"{value:g}": {"text": text, "color": color, "index": index}
        for index, (value, text, color) in enumerate(mapping)
    }
    return [{"type": "value", "options": options}]


def _detail(panel: Panel) -> str:
    """Where a click on a row or a series leads: the same data source and time, that Forge."""
    field = "__data.fields" if panel.kind == "table" else "__field.labels"
    chosen = "".join(f"&var-{name}=${{{field}.{name}}}" for name in ("job", "instance", "target"))
    return f"/d/{DETAIL}?var-datasource=${{datasource}}{chosen}&${{__url_time_range}}"


def _overrides(panel: Panel) -> Iterator[Json]:
    if panel.lines:
        properties: list[Json] = [
            {"id": "custom.stacking", "value": {"mode": "none"}},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 4]}},
        ]
        yield {"matcher": {"id": "byRegexp", "options": f"/{panel.lines}/"}, "properties": properties}
    if panel.kind == "table":
        for index, query in enumerate(panel.queries):
            yield {
                "matcher": {"id": "byName", "options": f"Value #{chr(ord('A') + index)}"},
                "properties": _column(query),
            }


def _column(query: Query) -> list[Json]:
    properties: list[Json] = [{"id": "displayName", "value": query.legend}, {"id": "unit", "value": query.unit}]
    if query.mapping:
        properties += [
            {"id": "mappings", "value": _words(query.mapping)},
            {"id": "custom.cellOptions", "value": {"type": "color-background"}},
        ]
    return properties


def _options(panel: Panel) -> Json:
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
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
