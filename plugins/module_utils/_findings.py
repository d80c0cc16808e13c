# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was bad at the end of a period, and what of it is new since the one before. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES

Key = tuple[str, str]  # host, id of the check
GROUPS = ("new", "unchanged", "fixed", "passing", "unseen")
EVENTS = ("record:",)  # one of a kind each: an interrupted run is told among the runs
TOLD = (
    "kpi:",
    "calendar:",
    "records:",
)  # the report says these itself, of the whole period; a look in the middle of it is outdated
PLANNED = "capacity:"  # of what too few values are known yet, the report says so itself
KEPT = ("name", "section", "status", "value", "unit", "limit", "detail", "remedy", "because")


@dataclass
class State:
    """What a period knows of one check."""

    check: Mapping[str, Any]
    playbook: str
    at: float
    bad_since: float | None = None
    worst: str = "ok"
    looks: int = 0
    bad_looks: int = 0
    bad: Mapping[str, Any] | None = None  # what was seen when it was bad the last time

    def see(self, check: Mapping[str, Any], playbook: str, at: float) -> None:
        """Take in a further look."""
        self.check, self.playbook, self.at = check, playbook, at
        self.looks += 1
        if check["status"] == "ok":
            self.bad_since = None
            return
        self.bad_looks += 1
        self.bad = check
        self.bad_since = self.bad_since if self.bad_since is not None else at
        self.worst = max(self.worst, check["status"], key=STATUSES.index)


class Seen:
    """What the runs of one period saw, in the order of time."""

    def __init__(self) -> None:
        self.states: dict[Key, State] = {}
        self.looked: dict[tuple[str, str, str], float] = {}  # host, playbook, section: the last look that saw all of it

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in the record of a run."""
        at, playbook = record["began"], record["playbook"]
        # A run that failed may not have come to it, and who could not see cannot say that it is gone.
        whole = record["status"] == "ok"
        blind = {(check["host"], check["section"]) for check in record["checks"] if check["status"] == "unknown"}
        for check in record["checks"]:
            if whole and (check["host"], check["section"]) not in blind:
                self.looked[check["host"], playbook, check["section"]] = at
            if check["id"].startswith((*EVENTS, *TOLD)):
                continue
            if check["id"].startswith(PLANNED) and check["status"] == "unknown":
                continue
            key = (check["host"], check["id"])
            state = self.states.get(key) or self.states.setdefault(key, State(check, playbook, at))
            state.see(check, playbook, at)

    def status(self, key: Key) -> str | None:
        """Return the status at the end; ok where a later run of the same playbook found nothing of it; None: not looked at."""
        state = self.states.get(key)
        if state is None:
            return None
        return "ok" if self.passed_over(state, key[0]) else str(state.check["status"])

    def passed_over(self, state: State, host: str) -> bool:
        """Return whether the playbook that saw ``state`` last saw all of its section later, without it being there."""
        return self.looked.get((host, state.playbook, state.check["section"]), -1.0) > state.at


def compare(now: Seen, before: Seen) -> dict[str, list[dict[str, Any]]]:
    """Return the findings by GROUPS, the worst first.

    ``passing`` came and went within the period; ``unseen`` was bad in the period before, and nobody looked since.
    """
    groups: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for key in sorted({*now.states, *before.states}):
        is_, was = now.status(key), before.status(key)
        last = before.states.get(key)
        if is_ is None and last and was != "ok" and now.passed_over(last, key[0]):
            is_ = "ok"
        group = _group(is_, was, now.states.get(key))
        state = now.states.get(key) or last
        if group and state:
            groups[group].append(_finding(key, state, last, is_, was))
    for found in groups.values():
        found.sort(key=lambda one: (-STATUSES.index(one["status"]), bool(one["because"]), one["host"], one["name"]))
    return groups


def _group(is_: str | None, was: str | None, state: State | None) -> str | None:
    was_bad = was not in (None, "ok")
    if is_ is None:
        return "unseen" if was_bad else None
    if is_ != "ok":
        return "unchanged" if was_bad else "new"
    if was_bad:
        return "fixed"
    return "passing" if state and state.bad_looks else None


def _finding(key: Key, state: State, last: State | None, is_: str | None, was: str | None) -> dict[str, Any]:
    gone = is_ in (None, "ok")
    told = (state.bad or (last.bad if last else None) or state.check) if gone else state.check
    kept = {name: told.get(name) for name in KEPT}
    since = state.bad_since
    if last and was not in (None, "ok") and not gone:
        since = last.bad_since
    status = (was if was not in (None, "ok") else state.worst) if gone else is_
    return {
        "host": key[0],
        "id": key[1],
        **kept,
        "status": status,  # of what is gone, how bad it was
        "was": was,
        "since": since,
        "seen_at": state.at,
        "looks": state.looks,
        "bad_looks": state.bad_looks,
        "playbook": state.playbook,
    }
