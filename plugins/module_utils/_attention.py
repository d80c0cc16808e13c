# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a report wants somebody to act, the worst first. Private to this collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_words as words
from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES

SOON_DAYS, VERY_SOON_DAYS = 30.0, 7.0
Items = list[dict[str, Any]]


def attention(report: Mapping[str, Any]) -> Items:
    """Return what wants attention. What follows from something else that is bad is counted there, not repeated."""
    items = [
        *_findings(report["findings"]),
        *_runs(report["playbooks"], report["findings"]),
        *_calendar(report["calendar"]),
        *_capacity(report["capacity"], report["findings"]),
        *_kpis(report["kpis"]),
        *_damaged(report["records"]["damaged"]),
        *_unrecorded(report["records"]["read"]),
    ]
    return sorted(items, key=lambda item: -STATUSES.index(item["severity"]))


def _item(
    severity: str, kind: str, title: str, detail: str, *, remedy: str | None = None, host: str = ""
) -> dict[str, Any]:
    return {"severity": severity, "kind": kind, "title": title, "detail": detail, "remedy": remedy, "host": host}


def _findings(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Items:
    bad = [(group, one) for group in ("new", "unchanged") for one in groups[group]]
    present = {(one["host"], one["id"]) for _group, one in bad}
    caused = Counter((one["host"], one["because"]) for _group, one in bad)
    items = []
    for group, one in bad:
        if one["because"] and (one["host"], one["because"]) in present:
            continue
        follow = caused[one["host"], one["id"]]
        detail = one["detail"] + (f" ({follow} more follow from it)" if follow else "")
        items.append(_item(one["status"], group, one["name"], detail, remedy=one["remedy"], host=one["host"]))
    return items


def _runs(playbooks: Sequence[Mapping[str, Any]], groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Items:
    told = {one["playbook"] for group in ("new", "unchanged") for one in groups[group] if one["status"] == "critical"}
    return [
        _item(
            "critical",
            "run",
            f"{one['playbook']} {'was interrupted' if one['last_status'] == 'interrupted' else 'failed'}",
            f"its last run, {words.minute(one['last_at'])} UTC" + (f": {one['failure']}" if one["failure"] else ""),
            remedy=f"ansible-playbook runbook.ops.{one['playbook']}",
        )
        for one in playbooks
        if one["last_status"] in ("failed", "interrupted")
        and not (one["last_check_status"] == "critical" and one["playbook"] in told)
    ]


def _calendar(entries: Sequence[Mapping[str, Any]]) -> Items:
    items = []
    for one in entries:
        if one["missed"]:
            every = "never ran" if one["missed"] == one["due"] else f"was missed {one['missed']} of {one['due']} times"
            detail = f"playbook {one['playbook']}, {one['when']}"
            detail += f", the last time {words.minute(one['missed_at'][-1])} UTC" if one["missed_at"] else ""
            items.append(
                _item(
                    "warning",
                    "missed",
                    f"{one['name']} {every}",
                    detail,
                    remedy=f"see why: systemctl list-timers, and the records of {one['playbook']}",
                )
            )
    return items


def _capacity(things: Sequence[Mapping[str, Any]], groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Items:
    told = {(one["host"], one["id"]) for group in ("new", "unchanged") for one in groups[group]}
    items = []
    for one in things:
        planned = f"capacity:{one['host']}:{one['id']}"  # found by a run of its own, on the host of the records
        if one["verdict"] not in ("full", "days") or one["days"] >= SOON_DAYS:
            continue
        if (one["host"], one["id"]) in told or any(identity == planned for _host, identity in told):
            continue
        end = "is full" if one["unit"] == "%" else "is at its limit"
        when = end if one["verdict"] == "full" else f"{end} in {one['days']:.0f} days"
        detail = f"now {words.figure(one['value'], one['unit'])}, {words.growth(one)} a month"
        if one["verdict"] == "days":
            detail += f"; likely in {words.until_full(one)}"
        severity = "critical" if one["days"] < VERY_SOON_DAYS else "warning"
        items.append(
            _item(
                severity,
                "capacity",
                f"{one['name']} {when}",
                detail,
                remedy="make room, or plan more of it",
                host=one["host"],
            )
        )
    return items


def _kpis(kpis: Sequence[Mapping[str, Any]]) -> Items:
    return [
        _item(
            "warning",
            "kpi",
            f"{one['name']} missed its target",
            f"{words.figure(one['value'], one['unit'])}, the target is {words.target(one)}",
        )
        for one in kpis
        if one["verdict"] == "missed"
    ]


def _damaged(damaged: Sequence[Mapping[str, Any]]) -> Items:
    if not damaged:
        return []
    count = "1 record" if len(damaged) == 1 else f"{len(damaged)} records"
    named = ", ".join(f"{one['name']} ({one['reason']})" for one in damaged[:3])
    more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
    return [_item("warning", "records", f"{count} could not be read", f"{named}{more}; all others are in this report")]


def _unrecorded(read: int) -> Items:
    if read:
        return []
    remedy = "ansible-playbook runbook.ops.health_check -e health_check_record=true leaves one now; runbook.ops.schedule runs the calendar"
    return [_item("warning", "records", "nothing was recorded", "so nothing is known of this period", remedy=remedy)]
