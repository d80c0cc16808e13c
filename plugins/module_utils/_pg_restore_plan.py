# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does next, by what its journal says and what the server has. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import (
    LIVE,
    Entry,
    Names,
    Source,
    by_hand,
    parse_time,
)

EXCHANGES = ("swap", "swap_back", "put_back")  # these stop the writers and start them


class RestoreError(Exception):
    """A restore that cannot be done, or did not succeed; the message is one line that says what to do."""


class Step(NamedTuple):
    """One act: ``start``, ``drop``, ``restore``, ``swap``, ``swap_back``, ``put_back`` or ``close``."""

    action: str
    name: str
    oid: str
    reason: str


class Keep(NamedTuple):
    """For how long it is kept what was live."""

    days: float
    proof_needed: bool = False  # besides, until a backup that was taken since has passed a test restore
    proven: datetime | None = None  # when the newest such backup was taken

    def over(self, one: Mapping[str, Any], now: datetime) -> bool:
        """Return whether ``one`` has been kept for long enough."""
        since = parse_time(one["since"])
        if now - since < timedelta(days=self.days):
            return False
        lives_on = one["why"] != LIVE or not self.proof_needed
        return lives_on or (self.proven is not None and self.proven > since)


def plan(
    entry: Entry | None, names: Names, state: str, *, source: Source | None, now: datetime, keep: Keep
) -> list[Step]:
    """Return what to do, in order, so that ``state`` is reached. ``entry`` is settled.

    :raises RestoreError: it cannot be reached from here.
    """
    stage = entry["stage"] if entry else "none"
    underway = bool(entry and entry["open"])
    if state == "prepared":
        steps = _prepared(entry, stage if underway else "none", source)
    elif state == "swapped":
        steps = _swapped(entry, stage, names)
    elif state == "reverted":
        steps = _reverted(entry, stage, names)
    else:
        steps = _pruned(entry, names, now, keep)
    if entry and entry.get("writers") and not any(step.action in EXCHANGES for step in steps):
        stopped = ", ".join(one["name"] for one in entry["writers"])
        steps.insert(0, Step("start", stopped, "", "stopped by a run that was killed"))
    return steps


def _prepared(entry: Entry | None, stage: str, source: Source | None) -> list[Step]:
    if source is None:  # the module asks for it
        raise RestoreError("no backup is named: set backup")
    same = entry is not None and entry["source"]["identity"] == source.identity
    if stage in ("prepared", "swapped") and same:
        return []
    if stage == "swapped" and entry is not None:
        raise RestoreError(
            f"the restore of {entry['source']['title']} is in place and not finished: "
            "prove it and finish it with state pruned, or go back with state reverted, before another begins"
        )
    why = "left by a run that was killed" if stage == "preparing" else "another backup is wanted now"
    drops = (
        [_drop(entry["restored"], why)]
        if entry and stage in ("preparing", "prepared") and entry["restored"]["oid"]
        else []
    )
    return [*drops, Step("restore", "", "", f"from {source.title}")]


def _swapped(entry: Entry | None, stage: str, names: Names) -> list[Step]:
    if stage == "swapped":
        return []
    if entry is None or stage != "prepared" or not entry["open"]:
        found = by_hand(entry, names)
        raise RestoreError(
            f"nothing is prepared that could be put in place{f' ({found})' if found else ''}: "
            "run state prepared with the backup first"
        )
    return [
        Step("swap", entry["restored"]["name"], entry["restored"]["oid"], f"restored from {entry['source']['title']}")
    ]


def _reverted(entry: Entry | None, stage: str, names: Names) -> list[Step]:
    if entry is None:
        return []
    if entry["open"] and stage in ("preparing", "prepared"):
        return [_drop(entry["restored"], "not put in place")] if entry["restored"]["oid"] else []
    before = entry["before"]
    if stage in ("moved", "lost"):
        return _put_back(entry, names)
    if stage != "swapped":
        return []
    if before is None:
        raise RestoreError(
            f"there was no database {entry['database']} before the restore: there is nothing to go back to"
        )
    now = names.get(before["oid"])
    if now is None:
        raise RestoreError(
            f"{before['name']} is gone: there is nothing to go back to; restore a backup made before instead"
        )
    if now != before["name"]:
        raise RestoreError(
            f"{before['name']} is called {now} now, somebody has renamed it by hand: rename it back, then run this again"
        )
    return [Step("swap_back", before["name"], before["oid"], "going back to what was live before")]


def _put_back(entry: Entry, names: Names) -> list[Step]:
    """Return how what was live before gets its name back, where somebody has taken the restored one away by hand."""
    before = entry["before"]
    if before is None or names.get(before["oid"]) != before["name"]:
        return []
    if entry["database"] in names.values():
        raise RestoreError(
            f"{by_hand(entry, names)}, and {entry['database']} is a database that no restore knows: nothing was touched; "
            f"rename {before['name']} by hand where it is to be live again, or restore anew with state prepared"
        )
    return [Step("put_back", before["name"], before["oid"], f"there is no database {entry['database']}")]


def _pruned(entry: Entry | None, names: Names, now: datetime, keep: Keep) -> list[Step]:
    if entry is None:
        return []
    # First: that a kept one is in use must not leave a good restore unfinished.
    swapped = entry["open"] and entry["stage"] == "swapped"
    steps = [Step("close", entry["database"], "", "the restore is finished")] if swapped else []
    if entry["open"] and entry["stage"] == "preparing" and entry["restored"]["oid"]:
        steps.append(_drop(entry["restored"], "left by a run that was killed"))
    if entry["database"] not in names.values():
        return steps  # what is kept may be all that there is
    steps += [
        _drop(one, f"{one['why']}, kept for {keep.days:g} days")
        for one in entry["kept"]
        if names.get(one["oid"]) == one["name"] and keep.over(one, now)
    ]
    return steps


def _drop(one: Mapping[str, Any], reason: str) -> Step:
    return Step("drop", one["name"], one["oid"], reason)
