# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a period: what is drawn of each, and when it is full. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._report_gather import DAY, DRAWN_DAYS, Gathered
from ansible_collections.runbook.ops.plugins.module_utils._report_topics import capacity_of, topic_of

FOREVER = ("full", "days", "unknown", "open", "steady")  # the order in which capacity is told


def drawn_since(gathered: Gathered) -> float:
    """Return from when on values are drawn: a week or a month alone would show too little."""
    return min(gathered.period.since, gathered.period.until - DRAWN_DAYS * DAY)


def figures_of(gathered: Gathered) -> list[dict[str, Any]]:
    """Return each value that was measured in the period, with what is drawn of it."""
    figures, since = [], drawn_since(gathered)
    for key, series in sorted(gathered.series.items()):
        check = gathered.checks[key]
        points = [point for point in series.points() if point[0] >= since]
        if not points or not series.last or series.last[0] < gathered.period.since:
            continue
        figures.append(
            {
                **{name: check.get(name) for name in ("host", "id", "name", "section", "unit", "limit", "status")},
                "topic": topic_of(check["id"], check.get("unit")),
                "value": series.last[1],
                "lowest": min(value for _at, value in points),
                "highest": max(value for _at, value in points),
                "points": points,
            }
        )
    return figures


def capacities_of(gathered: Gathered) -> list[dict[str, Any]]:
    """Return when what can be full will be, the soonest first."""
    found = []
    for key, series in sorted(gathered.series.items()):
        check = gathered.checks[key]
        if not series.last or series.last[0] < gathered.period.since:
            continue
        figure = {name: check.get(name) for name in ("host", "id", "name", "unit", "limit")}
        told = capacity_of({**figure, "value": series.last[1]}, series.points(), now=gathered.period.until)
        if told:
            found.append(told)
    return sorted(found, key=lambda one: (FOREVER.index(one["verdict"]), one["days"] or 0, one["host"], one["name"]))
