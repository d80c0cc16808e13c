# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says, as data: its pages only put it into words and pictures. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._attention import attention
from ansible_collections.runbook.ops.plugins.module_utils._findings import GROUPS, compare
from ansible_collections.runbook.ops.plugins.module_utils._kpis import judge
from ansible_collections.runbook.ops.plugins.module_utils._report_calendar import calendar_of
from ansible_collections.runbook.ops.plugins.module_utils._report_gather import Gathered
from ansible_collections.runbook.ops.plugins.module_utils._report_topics import draw_list
from ansible_collections.runbook.ops.plugins.module_utils._report_values import capacities_of, drawn_since, figures_of
from ansible_collections.runbook.ops.plugins.module_utils._report_words import iso

VERSION = 1


def make_report(
    gathered: Gathered,
    schedule: Sequence[Mapping[str, Any]],
    *,
    zone: str | None,
    now: float,
    title: str = "",
    checklist: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the report, JSON types only. The same records make the same report.

    :param schedule: the entries of the calendar
    :param now: what is due later is not missed yet
    :param checklist: its items, each with who did it when
    """
    period = gathered.period
    figures = figures_of(gathered)
    large, small = draw_list(figures)
    report: dict[str, Any] = {
        "report": VERSION,
        "system": gathered.system,
        "title": title or gathered.system,
        "period": {
            **{name: getattr(period, name) for name in ("kind", "name", "label", "zone")},
            **{"since": iso(period.since), "until": iso(period.until), "before": gathered.before.label},
        },
        "findings": _findings(gathered),
        "kpis": [judge(kpi, gathered.looks[place], days=period.days) for place, kpi in enumerate(gathered.kpis)],
        "calendar": calendar_of(schedule, gathered, zone, now),
        "checklist": [dict(one) for one in checklist],
        "playbooks": _playbooks(gathered),
        "capacity": capacities_of(gathered),
        "topics": large,
        "figures": small,
        "drawn_since": iso(drawn_since(gathered)),
        "records": {
            "read": gathered.read,
            "damaged": gathered.damaged,
            "last_at": iso(gathered.last_at) if gathered.last_at else None,
        },
    }
    report["attention"] = attention(report)
    report["counts"] = _counts(report)
    report["verdict"] = verdict(report)
    return report


def verdict(report: Mapping[str, Any]) -> str:
    """Return one or two sentences that say it all."""
    if not report["records"]["read"]:
        return "There is no record of this period: nothing ran, or nothing was recorded."
    items, counts = report["attention"], report["counts"]
    critical = sum(item["severity"] == "critical" for item in items)
    if not items:
        first = "Nothing needs attention."
    else:
        first = f"{len(items)} {'thing needs' if len(items) == 1 else 'things need'} attention"
        first += f", {critical} of them critical." if critical else "."
    return f"{first} Since the period before, {counts['new']} new, {counts['fixed']} fixed, {counts['unchanged']} unchanged."


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    calendar = report["calendar"]
    return {
        "attention": len(report["attention"]),
        **{group: len(report["findings"][group]) for group in GROUPS},
        "runs": sum(one["runs"] for one in report["playbooks"]),
        "failed": sum(one["failed"] + one["interrupted"] for one in report["playbooks"]),
        "changes": sum(one["changes"] for one in report["playbooks"]),
        "due": sum(one["due"] for one in calendar),
        "missed": sum(one["missed"] for one in calendar),
    }


def _findings(gathered: Gathered) -> dict[str, list[dict[str, Any]]]:
    groups = compare(gathered.now, gathered.then)
    for found in groups.values():
        for one in found:
            one["since"] = iso(one["since"]) if one["since"] is not None else None
            one["seen_at"] = iso(one["seen_at"])
    return groups


def _playbooks(gathered: Gathered) -> list[dict[str, Any]]:
    rows = []
    for playbook, every in sorted(gathered.runs.items()):
        runs = [run for run in every if run.began < gathered.period.until]
        if not runs:
            continue
        last = runs[-1]
        times = [run.seconds for run in runs if run.seconds is not None]
        rows.append(
            {
                "playbook": playbook,
                "runs": len(runs),
                **{name: sum(run.status == name for run in runs) for name in ("failed", "interrupted")},
                "changes": sum(run.changes for run in runs),
                "median_seconds": round(median(times), 1) if times else None,
                "last_at": iso(last.began),
                "last_status": last.status,
                "last_check_status": last.check_status,
                "failure": last.failure if last.status == "failed" else None,
            }
        )
    return rows
