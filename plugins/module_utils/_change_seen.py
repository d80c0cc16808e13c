# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to see of changes on a host: its lock, and the journals of what has not ended. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock, left_seconds, told
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check

SECTION = "Changes"
# Below the directory that the lock's own is in: the journal of each service's deploy, and that of the maintenance window.
JOURNALS = (("deploy", "deploy/*/journal.json"), ("maintenance window", "maintenance_window/journal.json"))
WHY = {
    "over": "its lease was over",
    "gone": "its process on the controller is gone",
    "broken": "it was broken by name",
}


def journals(directory: str) -> list[dict[str, Any]]:
    """Return what was begun on this host and has not ended."""
    found = []
    for kind, pattern in JOURNALS:
        for path in sorted(Path(directory).parent.glob(pattern)):
            try:
                entry = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue  # it has just ended
            except (OSError, ValueError):
                entry = {}
            said = entry if isinstance(entry, dict) else {}
            told_of = {key: said.get(key) for key in ("phase", "run", "release", "parked")}
            found.append({"kind": kind, "name": path.parent.name, "path": str(path), **told_of})
    return found


def lock_check(state: Mapping[str, Any], now: Clock) -> dict[str, Any]:
    """Return whether somebody may change this host now."""
    if state["owner"] is None:
        status, value, detail = "ok", "free", "No run changes this host."
    else:
        left = left_seconds(state, now)
        status, value = ("ok", "held") if left else ("warning", "abandoned")
        detail = f"{told(state, now)}."
    return make_check(
        "change:lock",
        name="lock of changes",
        section=SECTION,
        status=status,
        value=value,
        detail=detail,
        remedy="The next run that changes this host takes the lock over",
    )


def takeover_check(state: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return that the lock was taken over from another run, and why."""
    return make_check(
        "change:taken-over",
        name="lock of changes",
        section=SECTION,
        status="warning",
        value="taken over",
        detail=f"{state['playbook']} of {state['user']} (run {state['owner']}) held it since {state['taken_at']}: {WHY[why]}",
        remedy=f"Look what {state['playbook']} left behind, and run it again unless that was done since",
    )


def journal_check(journal: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a change that has not ended is at work, or waits for somebody to end it."""
    at_work = journal["run"] is not None and journal["run"] == state["owner"]
    waits = bool(journal.get("parked")) and journal["phase"] == "gated"
    how = "is at work" if at_work else "is staged, and waits to be promoted" if waits else "was begun and has not ended"
    return make_check(
        f"change:{journal['path']}",
        name=f"{journal['kind']} {journal['name']}" if journal["kind"] == "deploy" else journal["kind"],
        section=SECTION,
        status="ok" if at_work or waits else "warning",
        value=journal["phase"] or "unknown",
        detail=f"{how}, by run {journal['run'] or 'unknown'}",
        remedy="The next run that changes this host finishes or undoes it",
    )
