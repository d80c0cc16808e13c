# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore as its journal has it, and how far the server says that it is. Private to this collection.

A journal is written before each act. Whether the act happened is read from the server: a database keeps its oid when it is renamed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

NAME_BYTES = 63  # PostgreSQL cuts longer names off
STAMP = "%Y%m%d%H%M%S"
MOST_PREVIOUS = 10  # restores that are remembered
REMEMBERED = ("stamp", "stage", "source", "reason", "purpose", "restored", "before", "at")
LIVE = "live until the restore"  # why one is kept: no backup may hold what was written to it last
Entry = Mapping[str, Any]
Names = Mapping[str, str]  # of the server's databases, by oid


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


class Wanted(NamedTuple):
    """Why a restore is begun, for its journal."""

    reason: str = ""  # why it is restored although it is not proven
    purpose: str = ""
    taken_before: str | None = None


ANYTHING = Wanted()


def name_of(database: str, word: str, stamp: str) -> str:
    """Return such as ``shop_before_20261121140000``, cut so that PostgreSQL keeps all of the end.

    What is cut off stands in it as a hash: databases whose names begin alike are restored in the same second.
    """
    end = f"_{word}_{stamp}"
    whole = database.encode("utf-8")
    if len(whole) > NAME_BYTES - len(end):
        end = f"_{hashlib.sha256(whole).hexdigest()[:8]}{end}"
    return f"{whole[: NAME_BYTES - len(end)].decode('utf-8', 'ignore')}{end}"


def free_stamp(database: str, names: Iterable[str], now: datetime) -> str:
    """Return the first stamp from ``now`` on under which no database has been restored or kept."""
    taken = set(names)
    while {name_of(database, word, now.strftime(STAMP)) for word in ("restored", "before", "failed")} & taken:
        now += timedelta(seconds=1)
    return now.strftime(STAMP)


def begin(
    entry: Entry | None,
    source: Source,
    *,
    database: str,
    stamp: str,
    live: Mapping[str, Any] | None,
    mark: str,
    wanted: Wanted = ANYTHING,
) -> dict[str, Any]:
    """Return the journal of a restore that has not done anything yet.

    :param entry: of the restore before it, which is remembered
    :param mark: what no other restore has; the database's comment holds it as long as it is not in use
    """
    before = [{key: entry.get(key) for key in REMEMBERED}, *entry.get("previous", [])] if entry else []
    comment = f"runbook.ops: restored from {source.title}, not in use ({mark})"
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
        "reason": wanted.reason or None,
        "purpose": wanted.purpose or None,
        "taken_before": wanted.taken_before,
        "restored": {"name": name_of(database, "restored", stamp), "oid": None, "comment": comment},
        "before": {"name": name_of(database, "before", stamp), "oid": live["oid"]} if live else None,
        "failed": {"name": name_of(database, "failed", stamp)},
        "kept": list(entry["kept"]) if entry else [],
        "writers": entry.get("writers") if entry else None,
        "previous": before[:MOST_PREVIOUS],
        "seconds": {},
        "at": {},
    }


def oid_of_restored(entry: Entry, names: Names, comments: Mapping[str, str]) -> str | None:
    """Return the oid of the database that ``entry`` has made.

    Its maker may have been killed before it wrote the oid down, or even before it gave the database its comment. One of that
    name with another comment is somebody else's.
    """
    restored = entry["restored"]
    if restored["oid"]:
        return str(restored["oid"])
    ours = (None, restored.get("comment"))
    return next((oid for oid, name in names.items() if name == restored["name"] and comments.get(oid) in ours), None)


def stage_of(entry: Entry | None, names: Names, comments: Mapping[str, str] | None = None) -> str:
    """Return how far the restore of ``entry`` is: none, preparing, prepared, swapped, reverted, moved or lost.

    What somebody has renamed by hand is moved, what somebody has dropped is lost: neither is ours any more.
    """
    if entry is None:
        return "none"
    now = names.get(oid_of_restored(entry, names, comments or {}) or "")
    if now is None:
        return entry["stage"] if entry["stage"] in ("reverted", "none") else "lost"
    if now == entry["database"]:
        return "swapped"
    if now == entry["failed"]["name"]:
        return "reverted"
    if now != entry["restored"]["name"]:
        return "moved"
    return "prepared" if entry["stage"] in ("prepared", "swapping") else "preparing"


def settle(
    entry: Entry | None, names: Names, at: str, comments: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Return ``entry`` as it would be had its writer not been killed between an act and its journal.

    :param comments: of the server's databases, by oid
    """
    if entry is None:
        return None
    stage = stage_of(entry, names, comments)
    settled = {**entry, "stage": stage, "restored": dict(entry["restored"])}
    settled["restored"]["oid"] = oid_of_restored(entry, names, comments or {})
    kept = {one["oid"]: one for one in entry["kept"] if names.get(one["oid"]) == one["name"]}
    for place, why in (("before", LIVE), ("failed", "restored, and reverted")):
        one = settled[place] if place == "before" else {**settled["failed"], "oid": settled["restored"]["oid"]}
        if one and one["oid"] and names.get(one["oid"]) == one["name"] and one["oid"] not in kept:
            kept[one["oid"]] = {**one, "why": why, "since": at}
    settled["kept"] = list(kept.values())
    settled["open"] = entry["open"] and stage not in ("reverted", "lost", "moved", "none")
    return settled


def by_hand(entry: Entry | None, names: Names) -> str | None:
    """Return what somebody has done by hand to what a restore had made; None where nobody has."""
    if entry is None or not entry["restored"]["oid"]:
        return None
    made = f"the database that was restored from {entry['source']['title']}"
    if entry["stage"] == "moved":
        return f"{made} is called {names[entry['restored']['oid']]} now: somebody has renamed it by hand"
    if entry["stage"] == "lost":
        return f"{made} is gone: somebody has dropped it by hand"
    return None


def parse_time(text: str) -> datetime:
    """Return the moment that is written as ISO 8601 in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def write_time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
