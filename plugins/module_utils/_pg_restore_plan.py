# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does next, by what its journal says and what the server has. Private to this collection.

A journal is written before each act. Whether the act happened is read from the server: a database keeps its oid when it is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

NAME_BYTES = 63  # PostgreSQL cuts longer names off
STAMP = "%Y%m%d%H%M%S"
Entry = Mapping[str, Any]


class RestoreError(Exception):
    """A restore that cannot be done, or did not succeed; the message is one line that says what to do."""


class Step(NamedTuple):
    """One act: ``drop``, ``restore``, ``swap``, ``swap_back`` or ``close``."""

    action: str
    name: str
    oid: str
    reason: str


class Source(NamedTuple):
    """What is restored."""

    kind: str  # set, plain or custom
    title: str  # for people: the name of the set or file
    path: str
    identity: str
    size: int
    taken_at: str | None  # ISO 8601 in UTC; of a file when it was last written
    database: str | None  # whose backup it says it is
    content: Mapping[str, Any] | None  # of the manifest
    drill: Mapping[str, Any] | None  # the last one that it passed
    undamaged: bool  # its checksums were compared when it was proven
    encryption: str | None = None


def name_of(database: str, word: str, stamp: str) -> str:
    """Return such as ``shop_before_20261121140000``, cut so that PostgreSQL keeps all of the end."""
    end = f"_{word}_{stamp}"
    kept = database.encode("utf-8")[: NAME_BYTES - len(end)].decode("utf-8", "ignore")
    return f"{kept}{end}"


def free_stamp(database: str, names: Iterable[str], now: datetime) -> str:
    """Return the first stamp from ``now`` on under which no database has been restored or kept."""
    taken = set(names)
    while {name_of(database, word, now.strftime(STAMP)) for word in ("restored", "before", "failed")} & taken:
        now += timedelta(seconds=1)
    return now.strftime(STAMP)


def stage_of(entry: Entry | None, names: Mapping[str, str]) -> str:
    """Return how far the restore of ``entry`` is: none, preparing, prepared, swapped, reverted or lost.

    :param names: of the server's databases, by oid
    """
    if entry is None:
        return "none"
    restored = entry["restored"]
    oid = restored["oid"] or next((one for one, name in names.items() if name == restored["name"]), None)
    now = names.get(oid or "")
    if now is None:
        return entry["stage"] if entry["stage"] in ("reverted", "none") else "lost"
    if now == entry["database"]:
        return "swapped"
    if now == entry["failed"]["name"]:
        return "reverted"
    return "prepared" if entry["stage"] in ("prepared", "swapping") else "preparing"


def settle(entry: Entry | None, names: Mapping[str, str], at: str) -> dict[str, Any] | None:
    """Return ``entry`` as it would be had its writer not been killed between an act and its journal."""
    if entry is None:
        return None
    stage = stage_of(entry, names)
    settled = {**entry, "stage": stage, "restored": dict(entry["restored"])}
    if not settled["restored"]["oid"]:
        settled["restored"]["oid"] = next(
            (oid for oid, name in names.items() if name == entry["restored"]["name"]), None
        )
    kept = {one["oid"]: one for one in entry["kept"] if names.get(one["oid"]) == one["name"]}
    for place, why in (("before", "live until the restore"), ("failed", "restored, and reverted")):
        one = settled[place] if place == "before" else {**settled["failed"], "oid": settled["restored"]["oid"]}
        if one and one["oid"] and names.get(one["oid"]) == one["name"] and one["oid"] not in kept:
            kept[one["oid"]] = {**one, "why": why, "since": at}
    settled["kept"] = list(kept.values())
    settled["open"] = entry["open"] and stage not in ("reverted", "lost", "none")
    return settled


def begin(
    entry: Entry | None, source: Source, *, database: str, stamp: str, reason: str, live: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the journal of a restore that has not done anything yet."""
    return {
        "database": database,
        "stamp": stamp,
        "stage": "preparing",
        "open": True,
        "source": {
            "title": source.title,
            "path": source.path,
            "identity": source.identity,
            "taken_at": source.taken_at,
        },
        "reason": reason or None,
        "restored": {"name": name_of(database, "restored", stamp), "oid": None},
        "before": {"name": name_of(database, "before", stamp), "oid": live["oid"]} if live else None,
        "failed": {"name": name_of(database, "failed", stamp)},
        "kept": list(entry["kept"]) if entry else [],
        "seconds": {},
        "at": {},
    }


def plan(
    entry: Entry | None, names: Mapping[str, str], state: str, *, source: Source | None, now: datetime, keep_days: float
) -> list[Step]:
    """Return what to do, in order, so that ``state`` is reached. ``entry`` is settled.

    :raises RestoreError: it cannot be reached from here.
    """
    stage = entry["stage"] if entry else "none"
    underway = bool(entry and entry["open"])
    if state == "prepared":
        return _prepared(entry, stage if underway else "none", source)
    if state == "swapped":
        return _swapped(entry, stage)
    if state == "reverted":
        return _reverted(entry, stage, names)
    return _pruned(entry, names, now, keep_days)


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


def _swapped(entry: Entry | None, stage: str) -> list[Step]:
    if stage == "swapped":
        return []
    if entry is None or stage != "prepared" or not entry["open"]:
        raise RestoreError("nothing is prepared that could be put in place: run state prepared with the backup first")
    return [
        Step("swap", entry["restored"]["name"], entry["restored"]["oid"], f"restored from {entry['source']['title']}")
    ]


def _reverted(entry: Entry | None, stage: str, names: Mapping[str, str]) -> list[Step]:
    if entry is None:
        return []
    if entry["open"] and stage in ("preparing", "prepared"):
        return [_drop(entry["restored"], "not put in place")] if entry["restored"]["oid"] else []
    if stage != "swapped":
        return []
    before = entry["before"]
    if before is None:
        raise RestoreError(
            f"there was no database {entry['database']} before the restore: there is nothing to go back to"
        )
    if names.get(before["oid"]) != before["name"]:
        raise RestoreError(
            f"{before['name']} is gone: there is nothing to go back to; restore a backup made before instead"
        )
    return [Step("swap_back", before["name"], before["oid"], "going back to what was live before")]


def _pruned(entry: Entry | None, names: Mapping[str, str], now: datetime, keep_days: float) -> list[Step]:
    if entry is None:
        return []
    # First: that a kept one is in use must not leave a good restore unfinished.
    swapped = entry["open"] and entry["stage"] == "swapped"
    steps = [Step("close", entry["database"], "", "the restore is finished")] if swapped else []
    if entry["open"] and entry["stage"] == "preparing" and entry["restored"]["oid"]:
        steps.append(_drop(entry["restored"], "left by a run that was killed"))
    steps += [
        _drop(one, f"{one['why']}, kept for {keep_days:g} days")
        for one in entry["kept"]
        if names.get(one["oid"]) == one["name"] and now - parse_time(one["since"]) >= timedelta(days=keep_days)
    ]
    return steps


def _drop(one: Mapping[str, Any], reason: str) -> Step:
    return Step("drop", one["name"], one["oid"], reason)


def parse_time(text: str) -> datetime:
    """Return the moment that is written as ISO 8601 in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def write_time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
