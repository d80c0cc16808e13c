# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system's description says of the restore of one database. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._health_things import thing
from ansible_collections.runbook.ops.plugins.module_utils._reach import reach_of_database

UNSTOPPABLE = "vercel"  # what it serves cannot be stopped from here


def restore_options(system: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return how the database ``name`` is reached and proven, where its backups are, and who writes to it.

    ``writers`` stand in the order in which they are started. A writer is who names the database in ``needs``, or comes after the
    service it runs in; that service itself is none.

    :raises ValueError: there is no such database here, or it is none of PostgreSQL.
    """
    known = {one["name"]: one for one in system.get("databases") or []}
    if name not in known:
        raise ValueError(f"there is no database {name!r} on this host: known are {', '.join(known) or 'none'}")
    database = known[name]
    if database.get("engine") == "mongodb":
        raise ValueError(f"{name!r} is a database of MongoDB: restore it with restore_mongodb={name}")
    sets = [task for task in plan_tasks(system, "pg_backup") if task["name"] == name]
    servers = {
        service["name"]
        for service in system.get("services") or []
        if service["name"] == database.get("service") or (service.get("health") or {}).get("database") == name
    }
    writers = [
        service
        for service in system.get("services") or []
        if service["name"] not in servers
        and (name in (service.get("needs") or []) or servers & set(service.get("after") or []))
    ]
    return {
        "reach": reach_of_database(system, database),
        "secret": thing("database", database),
        "canaries": [database["canary"]] if database.get("canary") else [],
        "directory": sets[0]["options"]["directory"] if sets else None,
        "set": sets[0]["set"] if sets else None,
        # What is encrypted once is never written in plain text, whichever item says so.
        "form": {
            key: one["options"][key]
            for one in reversed(sets)
            for key in ("compression", "encryption")
            if key in one["options"]
        },
        "writers": [one["name"] for one in writers if one["manager"] != UNSTOPPABLE],
        "unstoppable": [one["name"] for one in writers if one["manager"] == UNSTOPPABLE],
    }
