# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a report becomes checks: capacity, targets, the calendar, records that are damaged. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_words as words
from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_low, make_check

TOPICS = ("capacity", "kpis", "calendar", "records")
Checks = list[dict[str, Any]]


def checks_of(report: Mapping[str, Any], topics: Sequence[str], *, warning_days: float, critical_days: float) -> Checks:
    """Return the checks of ``topics``."""
    found: Checks = []
    if "capacity" in topics:
        found += [_capacity(one, warning_days, critical_days) for one in report["capacity"]]
    if "kpis" in topics:
        found += [_kpi(one) for one in report["kpis"]]
    if "calendar" in topics:
        found += [_entry(one) for one in report["calendar"] if one["due"] or one["problem"]]
    if "records" in topics:
        found.append(_records(report["records"]))
    return found


def message_check(channel: str, problems: Sequence[str]) -> dict[str, Any]:
    """Return whether ``channel`` has the summary."""
    wrong = next((line for line in problems if line.startswith(f"{channel}: ")), None)
    return make_check(
        f"report-message:{channel}",
        name=f"report by {channel}",
        section="Report",
        status="warning" if wrong else "ok",
        value="not sent" if wrong else "sent",
        detail=wrong or "the summary was sent",
        remedy="the report itself is written; mend the receiver and run the playbook again, which sends it once",
    )


def _capacity(one: Mapping[str, Any], warning_days: float, critical_days: float) -> dict[str, Any]:
    # Where the values go up and down more than they grow, they do tell something: that it does not fill.
    status, limit = "unknown" if one["verdict"] == "unknown" and one["per_month"] is None else "ok", warning_days
    if one["days"] is not None:
        status, judged = judge_low(one["days"], warning_days, critical_days)
        limit = judged if judged is not None else limit
    return make_check(
        f"capacity:{one['host']}:{one['id']}",
        name=f"{one['name']} of {one['host']} full in",
        section="Capacity",
        status=status,
        value=one["days"],
        unit="days",
        limit=limit,
        detail=f"{words.until_full(one)}; now {words.figure(one['value'], one['unit'])}, growth in a month {words.growth(one)}",
        remedy="let the calendar look at it each day, and ask again after a week"
        if status == "unknown"
        else "make room, or plan more of it: the report draws it",
    )


def _kpi(one: Mapping[str, Any]) -> dict[str, Any]:
    used = one["budget_used_percent"]
    budget = f", {words.number(used)} % of the error budget used" if used is not None else ""
    return make_check(
        f"kpi:{one['name']}",
        name=one["name"],
        section="Targets",
        status={"met": "ok", "missed": "warning", "unknown": "unknown"}[one["verdict"]],
        value=one["value"],
        unit=one["unit"],
        limit=one["target"],
        detail=f"{words.figure(one['value'], one['unit'])}, the target is {words.target(one)}{budget}; {one['reason']}",
        remedy="see when it was: the report draws its check"
        if one["verdict"] == "missed"
        else "name its check in ops_objectives.kpis, or look at it more often",
    )


def _entry(one: Mapping[str, Any]) -> dict[str, Any]:
    bad = one["missed"] or one["problem"]
    last = f", the last time {words.minute(one['missed_at'][-1])} UTC" if one["missed_at"] else ""
    return make_check(
        f"calendar:{one['name']}",
        name=f"{one['name']} missed",
        section="Calendar",
        status="unknown" if one["problem"] else "warning" if bad else "ok",
        value=one["missed"],
        unit="times",
        limit=0,
        detail=one["problem"] or f"{one['missed']} of {one['due']} times missed, {one['failed']} failed{last}",
        remedy=f"see why: systemctl list-timers, and the records of {one['playbook']}",
    )


def _records(records: Mapping[str, Any]) -> dict[str, Any]:
    damaged = records["damaged"]
    named = ", ".join(f"{one['name']} ({one['reason']})" for one in damaged[:3])
    return make_check(
        "records:damaged",
        name="Damaged records",
        section="Records",
        status="warning" if damaged else "ok",
        value=len(damaged),
        unit="records",
        limit=0,
        detail=f"{named}{' and more' if len(damaged) > 3 else ''}"
        if damaged
        else f"all {records['read']} could be read",
        remedy="look at the file: what is left of it may still be read; then move it out of the directory",
    )
