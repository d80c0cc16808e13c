# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of dashboards are written and removed, and what is wrong with them. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._grafana import LONGEST_UID, as_file, tag_of
from ansible_collections.runbook.ops.plugins.module_utils._promql import metric_names

SECTION = "Dashboards"
COLUMNS_OF_GRAFANA = 24
Files = dict[str, bytes]


class DashboardError(Exception):
    """What cannot be written; the message says what to do, and nothing was changed."""


class Step(NamedTuple):
    """One file: what it is to hold, None where it goes."""

    name: str
    content: bytes | None
    is_new: bool


def is_ours(content: bytes, system: str) -> bool:
    """Return whether a file is a dashboard that this collection wrote for ``system``."""
    try:
        found = json.loads(content)
    except ValueError:
        return False
    return isinstance(found, dict) and tag_of(system) in (found.get("tags") or [])


def plan(found: Files, dashboards: Mapping[str, Mapping[str, Any]], system: str) -> list[Step]:
    """Return what is to be done, so that of ``found`` those of ``system`` are ``dashboards``.

    :param found: files whose names begin as those of the system do
    :raises DashboardError: a file of that name is somebody else's, or a dashboard is none.
    """
    for name, dashboard in dashboards.items():
        if name in found and not is_ours(found[name], system):
            raise DashboardError(f"{name} is there and not ours: move it away, or rename the dashboard")
        wrong = problem_of(dashboard)
        if wrong:
            raise DashboardError(f"{name} is no dashboard: {wrong}")
    wanted = {name: as_file(dashboard) for name, dashboard in dashboards.items()}
    written = [Step(name, content, name not in found) for name, content in wanted.items() if found.get(name) != content]
    gone = [Step(name, None, False) for name in found if name not in wanted and is_ours(found[name], system)]
    return [*written, *gone]


def predict(found: Files, steps: list[Step]) -> Files:
    """Return the files once ``steps`` were done."""
    after = dict(found)
    for step in steps:
        if step.content is None:
            after.pop(step.name, None)
        else:
            after[step.name] = step.content
    return after


def changes(directory: str, steps: list[Step]) -> list[dict[str, Any]]:
    """Return what is changed, and why."""
    found = []
    for step in steps:
        action = "remove" if step.content is None else "create" if step.is_new else "update"
        reason = {"remove": "no longer declared", "create": "not there yet", "update": "differs from the description"}
        found.append(
            make_change(f"{directory}/{step.name}", action=action, section=SECTION, reason=reason[action], unit=None)
        )
    return found


def diff(directory: str, before: Files, after: Files, steps: list[Step]) -> list[dict[str, str]]:
    """Return each file that changes, as Ansible shows a difference."""
    return [
        {
            "before_header": f"{directory}/{step.name}",
            "after_header": f"{directory}/{step.name}",
            "before": before.get(step.name, b"").decode("utf-8", "replace"),
            "after": after.get(step.name, b"").decode("utf-8", "replace"),
        }
        for step in steps
    ]


def problem_of(dashboard: Mapping[str, Any]) -> str | None:
    """Return what Grafana would not take, None where it takes all of it."""
    uid, panels = dashboard.get("uid"), dashboard.get("panels") or []
    if not uid or len(uid) > LONGEST_UID or not dashboard.get("title"):
        return f"uid and title are needed, uid of {LONGEST_UID} characters at most"
    if len({panel["id"] for panel in panels}) != len(panels):
        return "two panels have one id"
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > COLUMNS_OF_GRAFANA or not panel["targets"]:
            return f"panel {panel['title']!r} is too wide, or draws nothing"
    return None


def asked(dashboard: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return panel, whose metrics they are, and expression, as Prometheus takes it, of all that a dashboard asks."""
    return [
        (panel["title"], panel["description"], target["expr"].replace("$instance", ".*"))
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def read_by(expression: str, records: Mapping[str, str]) -> list[str]:
    """Return the metrics that ``expression`` reads: of a series that a rule records those that the rule reads."""
    names = metric_names(expression)
    return [inner for name in names for inner in (metric_names(records[name]) if name in records else [name])]


def judge(
    dashboards: Mapping[str, Mapping[str, Any]], known: Collection[str], system: str, records: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a check of each dashboard: that Prometheus has every metric it draws.

    :param known: the names of all metrics that Prometheus has
    :param records: what rules record, by the names of the series; it need not be there yet
    """
    checks = []
    for name, dashboard in dashboards.items():
        lacking = {
            metric: source
            for _panel, source, expression in asked(dashboard)
            for metric in read_by(expression, records)
            if metric not in known
        }
        told = "; ".join(f"{metric} ({source.rstrip('.').lower()})" for metric, source in lacking.items())
        count = len(dashboard["panels"])
        checks.append(
            make_check(
                f"dashboard:{system}:{name.rpartition('.')[0].rpartition('.')[2]}",
                name=dashboard["title"],
                section=SECTION,
                status="warning" if lacking else "ok",
                value=len(lacking),
                unit="metrics",
                detail=f"Prometheus does not have: {told}"
                if lacking
                else f"Prometheus has all that {count} panels draw",
                remedy="let Prometheus scrape that exporter, or correct ops_dashboards",
            )
        )
    return checks
