# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be so before a backup is restored, and what is told of it before anything is done. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError

FIRST_RATE = 20_000_000  # bytes a second: what a restore is expected to reach before one was timed
PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup")


def refuse(
    source: Source,
    server: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    *,
    database: str,
    from_database: str | None,
    reason: str,
    room: tuple[int | None, int | None, float],
) -> None:
    """Say all that is in the way of a restore.

    :param room: free bytes and bytes of the server's disk, and how many percent of it are to stay free
    :raises RestoreError: something is.
    """
    wrong = [
        *_of_backup(source, database=database, expected=from_database or database, reason=reason, live=live),
        *_of_server(source, server),
        *_obstacles(live),
        *_room(source.content or {}, *room),
    ]
    if wrong:
        raise RestoreError("; ".join(wrong))


def _of_backup(
    source: Source, *, database: str, expected: str, reason: str, live: Mapping[str, Any] | None
) -> list[str]:
    wrong = []
    if database in ("postgres", "template0", "template1"):
        wrong.append(f"{database} is the server's own database, which cannot be exchanged: restore beside it by hand")
    if source.database and source.database != expected:
        wrong.append(
            f"{source.title} is a backup of the database {source.database}, not of {expected}: "
            f"if that is meant, set from_database to {source.database}"
        )
    if not (source.undamaged and source.drill) and not reason.strip():
        what = "has no manifest" if source.kind != "set" else "has not passed a test restore"
        how = "" if source.kind != "set" else "prove it with backup_verify and drill, take another, or "
        wrong.append(f"{source.title} {what}: {how}set accept_unproven to the reason why it is restored all the same")
    if not live and not (source.content or {}).get("owner"):
        wrong.append(f"there is no database {database} that the restored one could be made like: create it first")
    return wrong


def _of_server(source: Source, server: Mapping[str, Any]) -> list[str]:
    content = source.content or {}
    wrong = ["this server is a standby: restore on its primary"] if server["standby"] else []
    if content.get("server_version_num", 0) // 10000 > server["version_num"] // 10000:
        made = content["server_version"]
        wrong.append(
            f"{source.title} was made on PostgreSQL {made}, this is {server['version']}: restore on one that is not older"
        )
    for kind, remedy in (("roles", "create them"), ("extensions", "install their packages")):
        missing = sorted(set(content.get(kind) or ()) - set(server[kind] or ()))
        if missing:
            wrong.append(f"this server lacks the {kind} {', '.join(missing)}: {remedy} first")
    return wrong


def _obstacles(live: Mapping[str, Any] | None) -> list[str]:
    """Return what keeps the live database from being renamed."""
    if live is None:
        return []
    wrong = []
    if live["prepared"]:
        wrong.append(
            f"the prepared transactions {', '.join(live['prepared'])} are open in {live['name']}: commit them or roll them back first"
        )
    at_work = [one for one in live["sessions"] if one["application"] in PROGRAMS]
    if at_work:
        wrong.append(
            f"{at_work[0]['application']} works on {live['name']} (session {at_work[0]['pid']}): wait until it has ended"
        )
    return wrong


def _room(content: Mapping[str, Any], free: int | None, disk: int | None, min_free_percent: float) -> list[str]:
    needed = content.get("size_bytes")
    if not needed or free is None or disk is None:
        return []
    wanted = int(needed * 1.1 + disk * min_free_percent / 100)
    if free >= wanted:
        return []
    return [
        f"the restored database needs {needed / 1e6:.0f} MB beside the live one, and {min_free_percent:g} % of the disk are to stay free: "
        f"{free / 1e6:.0f} MB are free, {wanted / 1e6:.0f} MB are needed; make room first"
    ]


def estimate(source: Source) -> tuple[float | None, str]:
    """Return how many seconds the restore takes beside the live database, and how that is known."""
    if source.drill and source.drill.get("seconds"):
        return round(float(source.drill["seconds"]), 1), "as in its test restore"
    if source.content and source.content.get("restore_seconds"):
        return round(float(source.content["restore_seconds"]), 1), "as in an earlier test restore"
    if source.content and source.content.get("size_bytes"):
        return round(source.content["size_bytes"] / FIRST_RATE + 1, 1), "guessed from its size"
    return None, "not known: it has not been restored before"


def not_compared(source: Source) -> list[str]:
    """Return what of the restored database nothing can be held against."""
    if source.kind == "set":
        return []
    if source.kind == "plain":
        return ["schema and sequences: a plain dump has no manifest", "rows of tables that were dumped as INSERT"]
    return ["rows, schema and sequences: this dump has no manifest"]


def left_behind(live: Mapping[str, Any] | None) -> list[str]:
    """Return what stays with the database that is replaced, and must be made anew by hand."""
    said = [f"replication slot {name}: make it anew" for name in (live or {}).get("slots") or ()]
    if (live or {}).get("subscriptions"):
        said.append(f"{live['subscriptions']} subscriptions: a backup holds none; make them anew")  # type: ignore[index]
    return said


def different_rows(then: Mapping[str, int], now: Mapping[str, int], *, limit: int = 10) -> Sequence[dict[str, Any]]:
    """Return the tables whose rows differ most between the backup and the live database."""
    tables = [{"table": name, "then": then.get(name), "now": now.get(name)} for name in sorted({*then, *now})]
    tables.sort(key=lambda one: -abs((one["then"] or 0) - (one["now"] or 0)))  # type: ignore[operator]
    return tables[:limit]
