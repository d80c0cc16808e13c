# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore, for the one who has to say yes to it. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import LIVE, parse_time, write_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import EXCHANGES, Step
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

DONE = {
    "drop": "dropped",
    "restore": "restored beside",
    "swap": "put in place",
    "swap_back": "put back",
    "put_back": "put back",
    "start": "started",
    "close": "finished",
}


def lines(plan: Mapping[str, Any], steps: Sequence[Step], writers: Sequence[str] = ()) -> list[str]:
    """Return the plan in lines, each with what it is about in front."""
    target, source = plan["target"], plan["source"]
    said = [
        f"target       {target['database']} on {target['where']}, PostgreSQL {target['server_version']}, system {target['system_identifier']}"
    ]
    if target["exists"]:
        size = human_size(target["size_bytes"]) if target["size_bytes"] is not None else "of unknown size"
        said.append(f"now          {size}, owner {target['owner']}, {_sessions(target['sessions'])}")
    else:
        said.append("now          there is no such database")
    if source:
        said += _of_source(source, plan)
    if plan.get("by_hand"):
        said.append(f"found        {plan['by_hand']}; it is left alone, and no restore is under way")
    said += [f"step         {_step(step, target['database'], writers)}" for step in steps] or [
        "step         nothing is left to do"
    ]
    if source and target["exists"]:
        taken = source["taken_at"]
        age = f" ({human_duration(source['age_seconds'])})" if source["age_seconds"] is not None else ""
        said.append(
            f"lost         what was written after {taken}{age}: the live database is kept under another name, look for it there"
        )
        said.append("way back     state reverted puts the kept one back, in about a second")
    said += [f"stays        {what}" for what in plan.get("stays") or ()]
    return said


def stays(
    entry: Mapping[str, Any] | None,
    database: str,
    *,
    keep_days: float,
    proof_needed: bool,
    now: datetime,
    steps: Sequence[Step],
) -> list[str]:
    """Return what is kept beside the live database once ``steps`` are done, and until when."""
    proof = " and a backup taken since has passed a test restore" if proof_needed else ", by age alone"
    dropped = {step.oid for step in steps if step.action == "drop"}
    said = []
    for one in entry["kept"] if entry else ():
        if one["oid"] not in dropped:
            until = write_time(parse_time(one["since"]) + timedelta(days=keep_days))
            said.append(f"{one['name']}, {one['why']}, until {until}{proof if one['why'] == LIVE else ''}")
    if any(step.action in ("restore", "swap") for step in steps):
        until = write_time(now + timedelta(days=keep_days))
        said.append(f"what is live now, as {database}_before_<time>, until {until}{proof}")
    return said


def _of_source(source: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    age = f", {human_duration(source['age_seconds'])} old" if source["age_seconds"] is not None else ""
    proven = f"proven by a test restore at {source['proven_at']}" if source["proven_at"] else "NOT PROVEN"
    if source["accepted_because"] and not source["proven_at"]:
        proven += f", accepted because: {source['accepted_because']}"
    said = [
        f"source       {source['path']}, {human_size(source['size_bytes'])}, taken at {source['taken_at']}{age}",
        f"proof        {proven}",
    ]
    said += _rows(plan["tables"])
    seconds = plan["estimated_seconds"]
    time = human_duration(seconds) if seconds is not None else "unknown"
    said.append(
        f"time         {time} beside the live database ({plan['estimated_by']}); it is closed for about a second, when the names change"
    )
    said += [f"not compared {what}" for what in plan["not_compared"]]
    return said


def _rows(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tables that differ; what is now is the server's estimate, which a few rows more or less say nothing of."""
    changed = [one for one in tables if abs((one["then"] or 0) - (one["now"] or 0)) > 0 or None in one.values()]
    said = [
        f"rows         {one['table']}: {_number(one['then'])} in the backup, about {_number(one['now'])} now"
        for one in changed
    ]
    return said or (["rows         as many in every table as the server estimates now"] if tables else [])


def _step(step: Step, database: str, writers: Sequence[str]) -> str:
    nobody = f"stop {', '.join(reversed(writers))}, " if writers else ""
    again = f", and start {', '.join(writers)}" if writers else ""
    return {
        "start": f"start {step.name} ({step.reason})",
        "drop": f"drop {step.name} ({step.reason})",
        "restore": f"restore {step.reason} into a new database beside {database}, compare it, ask the canaries",
        "swap": f"{nobody}end all sessions of {database}, keep it under another name, and give its name to {step.name}, in one transaction{again}",
        "swap_back": f"{nobody}end all sessions of {database}, keep it under another name, and give its name back to {step.name}, in one transaction{again}",
        "put_back": f"{nobody}give {step.name} the name {database} again, which no database has{again}",
        "close": "finish the restore: what was kept can be dropped later",
    }[step.action]


def changes(
    steps: Sequence[Step],
    database: str,
    seconds: Mapping[str, float],
    *,
    accepted: str = "",
    writers: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return ``steps`` in the one shape of a change.

    :param accepted: why a backup is restored that is not proven, for the record
    :param writers: services that are stopped and started meanwhile
    """
    unproven = f", not proven, accepted because: {accepted}" if accepted else ""
    served = [
        make_change(
            name,
            action="stopped and started",
            section="Services",
            reason=f"the names of {database} and of another were exchanged",
            seconds=seconds.get("without_service"),
        )
        for name in (writers if any(step.action in EXCHANGES for step in steps) else ())
    ]
    return [
        *served,
        *_changes(steps, database, seconds, unproven),
    ]


def _changes(steps: Sequence[Step], database: str, seconds: Mapping[str, float], unproven: str) -> list[dict[str, Any]]:
    return [
        make_change(
            step.name if step.action in ("drop", "start") else database,
            action=DONE[step.action],
            section="Services" if step.action == "start" else "Restore",
            reason=step.reason + (unproven if step.action == "restore" else ""),
            seconds=seconds.get(step.action),
        )
        for step in steps
    ]


def _sessions(sessions: Sequence[str]) -> str:
    if not sessions:
        return "no sessions"
    some = ", ".join(sorted(set(sessions))[:4])
    return f"{len(sessions)} session{'s' if len(sessions) > 1 else ''}: {some}"


def _number(rows: int | None) -> str:
    return "no such table" if rows is None else str(rows)
