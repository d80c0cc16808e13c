# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn of a system, and from which metrics: recording rules and dashboards follow from it. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._figure_tables import (
    HOST,
    QUEUES,
    RUNS,
    SERVICES,
    STORES,
    Figure,
    Line,
)

System = Mapping[str, Any]
HOSTS = 'instance=~"$instance"'  # what a reader of a dashboard chooses; rules are about all of them
APPLICATION, INFRASTRUCTURE, BUSINESS = "Application overview", "Infrastructure", "Business metrics"
UNITS = {"%": "percent", "s": "s", "ms": "ms", "bytes": "bytes", "B": "bytes", "MB": "decmbytes", "days": "d"}


def figures_of(system: System, *, metrics: bool) -> dict[str, list[Figure]]:
    """Return the panels of each dashboard by its name: those that the description declares come first.

    :param system: the description as the role system returns it
    :param metrics: whether the hosts write a textfile, the monitor what it sees and each run what it found
    :raises ValueError: two dashboards have one name.
    """
    stores = STORES if system.get("databases") or system.get("redis") else ()
    follow: dict[str, list[Figure]] = {
        APPLICATION: [*SERVICES, *(QUEUES if system.get("queues") else ())] if metrics else [],
        INFRASTRUCTURE: [*HOST, *(stores if metrics else ())],
        BUSINESS: [_asked(query, system["system"]["name"]) for query in _queries(system)] if metrics else [],
    }
    declared: dict[str, list[Figure]] = {}
    for one in system.get("dashboards") or []:
        if slug_of(one["name"]) in [slug_of(name) for name in declared]:
            raise ValueError(f"ops_dashboards: {one['name']!r} cannot be told from another one: rename it")
        name = next((known for known in follow if slug_of(known) == slug_of(one["name"])), one["name"])
        declared[name] = [_own(panel) for panel in one["panels"]]
    named = dict.fromkeys([*follow, *declared])
    found = {name: [*declared.get(name, []), *follow.get(name, [])] for name in named}
    return {name: figures for name, figures in found.items() if figures}


def _own(panel: Mapping[str, Any]) -> Figure:
    return Figure(
        panel["name"],
        (Line(panel["expression"].replace("@", "@@"), ""),),
        panel.get("unit") or "short",
        panel["exporter"],
    )


def _queries(system: System) -> list[Mapping[str, Any]]:
    scheduled = {entry["playbook"] for entry in system.get("schedule") or []}
    return [query for query in system.get("queries") or [] if query.get("playbook") in scheduled]


def _asked(query: Mapping[str, Any], system: str) -> Figure:
    """Return what a query of the description found, each time that its playbook ran."""
    named = escaped(re.escape(query["name"]).replace("\\ ", " "))  # a query with several numbers has a check of each
    chosen = f'@,system="{system}",playbook="{query["playbook"]}",id=~"query:{named}(:.+)?"'
    line = Line(f"runbook_run_value{{{chosen}}}", "{{instance}} {{id}}")
    return Figure(
        query["name"][:1].upper() + query["name"][1:], (line,), UNITS.get(query.get("unit") or "", "short"), RUNS
    )


def render(expression: str, chosen: str) -> str:
    """Return ``expression`` with the labels that are ``chosen`` in the place of each ``@``; ``@@`` is one of PromQL's own."""
    if not chosen:
        expression = re.sub(r"\{@\}", "", re.sub(r"(?<=\{)@,", "", expression))
    return re.sub(r"@@|@", lambda found: "@" if found[0] == "@@" else chosen, expression)


def make_records(system: System, *, metrics: bool) -> dict[str, Any]:
    """Return the recording rules as Prometheus reads them."""
    name = system["system"]["name"]
    figures = [figure for found in figures_of(system, metrics=metrics).values() for figure in found]
    rules = [
        {"record": line.record, "expr": render(line.expression, ""), "labels": {"system": name}}
        for figure in figures
        for line in figure.lines
        if line.record
    ]
    return {"groups": [{"name": f"runbook.ops {name} records", "rules": rules}]}


def slug_of(name: str) -> str:
    """Return what names a dashboard in files."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "dashboard"


def escaped(text: str) -> str:
    """Return ``text`` as it stands between quotes in PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
