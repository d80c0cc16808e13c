# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of the checklist: who confirmed each item when, and when it is due next. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _checklist as checklist
from ansible_collections.runbook.ops.plugins.module_utils._checklist_records import Seen, look, moment


def checklist_of(options: Mapping[str, Any], until: float) -> list[dict[str, Any]]:
    """Return the items as they were when the period ended, or are now where it has not: the same records make the same rows.

    :raises ChecklistError: the records cannot be read, or there is no such time zone.
    """
    items = options.get("checklist") or []
    if not items:
        return []
    now, zone = moment(options)
    now = min(now, until - 1)
    return rows(
        items, look(options, items, now=now, zone=zone, ahead=0), today=datetime.fromtimestamp(now, zone).date()
    )


def rows(items: Sequence[Mapping[str, Any]], seen: Seen, *, today: date) -> list[dict[str, Any]]:
    """Return a row for each item, in their order."""
    told = []
    for item in items:
        done = seen.of(item)
        check = checklist.judge(item, done, today=today, asked=seen.asked.get(item.get("playbook") or ""))
        due = done.on + timedelta(days=checklist.days_of(item)) if done and done.good else None
        told.append(
            {
                "name": item["name"],
                "what": item.get("what"),
                "status": check["status"],
                "by": done.by if done else None,  # None, too, where a run proved it
                "on": done.on.isoformat() if done else None,
                "how": done.how if done else None,
                "value": done.figure if done else None,
                "unit": item.get("unit"),
                "due": due.isoformat() if due else None,
                "overdue_days": max(0, (today - due).days) if due else None,
            }
        )
    return told
