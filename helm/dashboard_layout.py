"""Panels and how Grafana lays them out; what they ask is each dashboard's own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helm.dashboard_queries import HERE

#: The unit of prices. The chart writes the catalogue's currency in its place.
COST = "currency:USD"
#: By which dashboards find each other.
TAG = "smallfirst"
#: Grafana's grid is 24 columns wide.
WIDTH, HEIGHT, COLUMNS = 8, 7, 3


@dataclass(frozen=True)
class Panel:
    """One figure.

    Attributes:
        title: What it shows.
        about: What is worth knowing when one looks at it.
        queries: Legends and what stands behind them, in PromQL.
        unit: Of Grafana's: `short`, `s`, `percentunit`, `bytes`, `cps` (counts a second), `COST`.
        kind: `timeseries`, `stat` or `heatmap`.
        is_stacked: Whether the lines add up.
    """

    title: str
    about: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    is_stacked: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One page of rows of panels."""

    uid: str
    title: str
    rows: Sequence[tuple[str, Sequence[Panel]]]


def page(dashboard: Dashboard) -> dict[str, Any]:
    """Lay a dashboard out as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows:
        place = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        panels += [_panel(panel, number, top + 1) for number, panel in enumerate(row)]
        top += 1 + HEIGHT * -(-len(row) // COLUMNS)
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": [TAG],
        "links": [_LINK],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": _annotations()},
        "panels": panels,
    }


#: To the other dashboards, about the same fleet and the same time.
_LINK = {
    "type": "dashboards",
    "title": "Smallfirst",
    "tags": [TAG],
    "includeVars": True,
    "keepTime": True,
    "asDropdown": False,
}


def _annotations() -> list[dict[str, Any]]:
    """Mark when another version or another catalogue began to run: where figures change, ask it."""
    return [
        _annotation("Versions", "version", "smallfirst_build_info", "blue"),
        _annotation("Catalogues", "revision", "smallfirst_catalogue_info", "purple"),
    ]


def _annotation(name: str, label: str, metric: str, color: str) -> dict[str, Any]:
    now, before = (f"count by ({label}) ({metric}{{{HERE}}}{then})" for then in ("", " offset 5m"))
    return {
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "expr": f"{now} unless {before}",
        "step": "60s",
        "titleFormat": f"{label} {{{{{label}}}}}",
        "iconColor": color,
    }


def _panel(panel: Panel, number: int, top: int) -> dict[str, Any]:
    place = {"x": WIDTH * (number % COLUMNS), "y": top + HEIGHT * (number // COLUMNS)}
    source = {"type": "prometheus", "uid": "${datasource}"}
    is_heatmap = panel.kind == "heatmap"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": {**place, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": source,
                "expr": query,
                "legendFormat": legend,
                "format": "heatmap" if is_heatmap else "time_series",
            }
            for place, (legend, query) in enumerate(panel.queries)
        ],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.is_stacked else "none"}
    custom = {"fillOpacity": 30 if panel.is_stacked else 5, "stacking": stacking}
    return {"unit": panel.unit, "min": 0, "custom": custom}


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return [
        {**source, "label": "Prometheus"},
        _variable("namespace", "Namespace", "smallfirst_redis_up"),
        _variable("release", "Release", 'smallfirst_redis_up{namespace="$namespace"}'),
        _choice("task", "Task", f"smallfirst_attempts_total{{{HERE}}}"),
        _choice("pool", "Pool", f"smallfirst_workers{{{HERE}}}"),
    ]


def _variable(name: str, label: str, series: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "label": label,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f"label_values({series}, {name})",
        "refresh": 2,
        "sort": 1,
    }


def _choice(name: str, label: str, series: str) -> dict[str, Any]:
    """A variable of which one, several or all may be chosen; all, to begin with."""
    everything = {"text": "All", "value": "$__all"}
    many = {"multi": True, "includeAll": True, "allValue": ".*", "current": everything}
    return {**_variable(name, label, series), **many}


def written(dashboard: Dashboard) -> str:
    """Give a dashboard's file."""
    return json.dumps(page(dashboard), indent=1, ensure_ascii=False) + "\n"
