# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards as Grafana reads them from files. Private to this collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._figure_tables import Figure, Line
from ansible_collections.runbook.ops.plugins.module_utils._figures import (
    HOSTS,
    System,
    escaped,
    figures_of,
    render,
    slug_of,
)

SCHEMA = 39  # of Grafana 11; newer ones read it and bring it up to date by themselves
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
LONGEST_UID = 40
WIDTH, HEIGHT, COLUMNS = 12, 8, 2
BELOW = ("certificate_days", "disk_days")  # less is worse


def make_dashboards(system: System, *, metrics: bool, recorded: bool) -> dict[str, dict[str, Any]]:
    """Return the dashboards of a system, by the names of their files.

    :param metrics: whether the hosts write what the monitor sees
    :param recorded: whether Prometheus has the recording rules: their series are read instead of being computed each time
    :raises ValueError: two dashboards have one name.
    """
    name = system["system"]["name"]
    return {
        file_of(name, title): _dashboard(system, title, figures, recorded=recorded)
        for title, figures in figures_of(system, metrics=metrics).items()
    }


def file_of(system: str, title: str) -> str:
    """Return the name of a dashboard's file."""
    return f"{prefix_of(system)}{slug_of(title)}.json"


def prefix_of(system: str) -> str:
    """Return what the names of the files of a system begin with; a dot is in no system's name."""
    return f"runbook_ops_{system}."


def tag_of(system: str) -> str:
    """Return the tag by which a dashboard is known as one of ours."""
    return f"runbook.ops:{system}"


def uid_of(system: str, title: str) -> str:
    """Return what Grafana knows a dashboard by, the same each time; it takes forty characters at most."""
    uid = f"runbook-{system}-{slug_of(title)}"
    if len(uid) <= LONGEST_UID:
        return uid
    return f"{uid[: LONGEST_UID - 9]}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def as_file(dashboard: Mapping[str, Any]) -> bytes:
    """Return a dashboard as it stands in its file."""
    return (json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n").encode()


def _dashboard(system: System, title: str, figures: list[Figure], *, recorded: bool) -> dict[str, Any]:
    about = system["system"]
    return {
        "id": None,
        "uid": uid_of(about["name"], title),
        "title": f"{about.get('title') or about['name']}: {title}",
        "description": "Written by runbook.ops (playbook dashboards), which replaces it whole.",
        "tags": ["runbook.ops", tag_of(about["name"])],
        "timezone": about.get("time_zone") or "browser",
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": _variables()},
        "panels": [_panel(system, number, figure, recorded=recorded) for number, figure in enumerate(figures)],
    }


def _variables() -> list[dict[str, Any]]:
    query = "label_values(up, instance)"
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0},
        {
            "name": "instance",
            "label": "Host",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": "instance"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            "hide": 0,
        },
    ]


def _panel(system: System, number: int, figure: Figure, *, recorded: bool) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    table = figure.kind == "table"
    return {
        "id": number + 1,
        "type": figure.kind,
        "title": figure.name,
        "description": f"From {figure.source}.",
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": WIDTH * column, "y": HEIGHT * row},
        "targets": [
            _target(system, letter, line, table=table, recorded=recorded)
            for letter, line in zip("ABCDEFGH", figure.lines)
        ],
        "fieldConfig": {"defaults": _defaults(system, figure), "overrides": []},
        "options": {"showHeader": True, "cellHeight": "sm"}
        if table
        else {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}}}]
        if table
        else [],
    }


def _target(system: System, letter: str, line: Line, *, table: bool, recorded: bool) -> dict[str, Any]:
    kept = f'{line.record}{{system="{escaped(system["system"]["name"])}",@}}'
    expression = render(kept if recorded and line.record else line.expression, HOSTS)
    return {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": line.legend or "__auto",
        "range": not table,
        "instant": table,
        "format": "table" if table else "time_series",
    }


def _defaults(system: System, figure: Figure) -> dict[str, Any]:
    limits = (system.get("thresholds") or {}).get(figure.threshold or "") or {}
    steps = _steps(limits, below=figure.threshold in BELOW)
    if figure.kind == "table":
        return {"unit": figure.unit, "custom": {"align": "auto"}}
    return {
        "unit": figure.unit,
        "min": 0,
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 0,
            "showPoints": "auto",
            "thresholdsStyle": {"mode": "line" if limits else "off"},
        },
        "thresholds": {"mode": "absolute", "steps": steps},
    }


def _steps(limits: Mapping[str, Any], *, below: bool) -> list[dict[str, Any]]:
    """Return from which value on a line has which colour: upwards, so that with fewer being worse the first is the worst."""
    named = [("orange", limits.get("warning")), ("red", limits.get("critical"))]
    given = [(colour, value) for colour, value in named if value is not None]
    if not below:
        return [{"color": "green", "value": None}, *({"color": colour, "value": value} for colour, value in given)]
    colours = [colour for colour, _value in given[::-1]] + ["green"]
    values = [None, *(value for _colour, value in given[::-1])]
    return [{"color": colour, "value": value} for colour, value in zip(colours, values)]
