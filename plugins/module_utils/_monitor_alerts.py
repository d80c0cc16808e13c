# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a check alerts, reminds and clears: what was seen lately decides, not one look. Private to this collection.

A check alerts at the best status of its last ``after`` looks and calms down to the worst of its last ``clear`` ones. So one
that flaps faster than both says nothing, and one that flaps slower says each time what it said before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES

Record = dict[str, Any]
TOLD = ("id", "name", "section", "status", "value", "unit", "limit", "detail", "remedy")


class Policy(NamedTuple):
    """How patient alerts are."""

    after: int = 2  # bad looks in a row until an alert
    clear: int = 3  # good looks in a row until the all-clear
    remind_seconds: float = 14400.0  # between two reminders; 0 means never


def follow(
    known: Mapping[str, Record], checks: Sequence[Mapping[str, Any]], *, policy: Policy, now: float
) -> tuple[dict[str, Record], list[Record]]:
    """Return what is to be remembered of each check after this look, and the events to tell, the worst first.

    Only checks that are bad, were lately, or have alerted are remembered: all others are as good as new.

    :param known: what was returned the last time
    :param checks: all that this look found
    :param now: seconds since 1970
    """
    remembered: dict[str, Record] = {}
    events: list[Record] = []
    for check in checks:
        record = _seen(known.get(check["id"]), check, policy, now)
        event = _event(record, check, policy, now)
        if event:
            events.append({**event, "follows": _followers(check["id"], checks)})
        if record["alerted"] or any(status != "ok" for status in (check["status"], *record["recent"])):
            remembered[check["id"]] = record
    seen = {check["id"] for check in checks}
    blind = {check["section"] for check in checks if check["status"] == "unknown"}
    for identity, old in known.items():
        if identity in seen or not old["alerted"]:
            continue
        # A probe that could not look leaves its checks out: that is no good news of them.
        status = old["alerted"] if old["section"] in blind else "ok"
        gone = {**old, "id": identity, "status": status, "because": None}
        record = _seen(old, gone, policy, now)
        if _settled(record, policy) == "ok":
            events.append({**_told(record, gone), "kind": "gone", "was": record["alerted"], "follows": []})
        else:
            remembered[identity] = record
    return remembered, sorted(events, key=_rank)


def _seen(old: Record | None, check: Mapping[str, Any], policy: Policy, now: float) -> Record:
    """Return the record of ``check`` with this look added to it."""
    alerted = old["alerted"] if old else None
    # What follows from another fault is told with that one; it counts on its own only once that is over.
    counted = "ok" if check.get("because") and not alerted else check["status"]
    recent = [*(old["recent"] if old else []), counted][-max(policy.after, policy.clear) :]
    same = old is not None and old["status"] == check["status"]
    return {
        "name": check["name"],
        "section": check["section"],
        "status": check["status"],
        "detail": check["detail"],
        "because": check.get("because"),
        "since": old["since"] if old and same else now,
        "recent": recent,
        "alerted": alerted,
        "alerted_at": old["alerted_at"] if old else None,
        "told_at": old["told_at"] if old else None,
    }


def _event(record: Record, check: Mapping[str, Any], policy: Policy, now: float) -> Record | None:
    """Return what is to be told of a check now, if anything, and note in its record that it was."""
    was, event = record["alerted"] or "ok", None
    lately = record["recent"][-policy.after :]
    proven = min(lately, key=STATUSES.index) if len(lately) == policy.after else "ok"
    settled = _settled(record, policy)
    if STATUSES.index(proven) > STATUSES.index(was):
        event = {**_told(record, check), "kind": "alert" if was == "ok" else "worse", "was": was, "status": proven}
        record.update(alerted=proven, told_at=now, alerted_at=record["alerted_at"] or now)
    elif was != "ok" and settled == "ok":
        event = {**_told(record, check), "kind": "clear", "was": was}
        record.update(alerted=None, alerted_at=None, told_at=None)
    elif STATUSES.index(settled) < STATUSES.index(was):
        record["alerted"] = settled  # better, not good: nothing that anybody has to do, and the next reminder says it
    elif was != "ok" and _due(record, check, policy, now):
        event = {**_told(record, check), "kind": "reminder", "was": was}
        record["told_at"] = now
    return event


def _settled(record: Record, policy: Policy) -> str:
    """Return the worst of the last looks; of too few of them, what it alerted at."""
    lately = record["recent"][-policy.clear :]
    return max(lately, key=STATUSES.index) if len(lately) == policy.clear else record["alerted"] or "ok"


def _due(record: Record, check: Mapping[str, Any], policy: Policy, now: float) -> bool:
    if not policy.remind_seconds or check["status"] == "ok" or check.get("because"):
        return False
    passed = now - record["told_at"]
    return passed >= policy.remind_seconds or passed < 0  # a clock that was set back must not silence it


def _told(record: Record, check: Mapping[str, Any]) -> Record:
    """Return what people are told of a check, whatever the event."""
    return {**{key: check.get(key) for key in TOLD}, "since": record["alerted_at"] or record["since"]}


def _followers(identity: str, checks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{check['name']} ({check['status']})" for check in checks if check.get("because") == identity]


def _rank(event: Record) -> tuple[int, int]:
    over = event["kind"] in ("clear", "gone")
    return (int(over), -STATUSES.index(event["was"] if over else event["status"]))
