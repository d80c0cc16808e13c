# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system's description says of the migrations of one service. Private to this collection."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._restore_options import restore_options

DIRECTORIES = {"prisma": "prisma/migrations", "drizzle": "drizzle"}  # where a tool keeps them unless told otherwise


def migration_options(system: Mapping[str, Any], name: str, release: str = "", identity: str = "") -> dict[str, Any]:
    """Return the options of the module database_migration for the service ``name``; empty where it has no migrations.

    In ``secret`` stands the name of the database's password.

    :param release: directory of the application in the release whose migrations they are; without it what the description names
    :param identity: name of the release, which is needed where Compose runs it
    :raises ValueError: there is no such service here, or nothing but a program can migrate its database.
    """
    known = {one["name"]: one for one in system.get("services") or []}
    if name not in known:
        raise ValueError(f"there is no service {name!r} on this host: known are {', '.join(known) or 'none'}")
    service = known[name]
    deploy = service.get("deploy") or {}
    migration = deploy.get("migration")
    if not migration:
        return {}
    database = _of_mongodb(system, migration) or restore_options(system, migration["database"])
    composed = service["manager"] == "compose"
    if composed and not identity:
        raise ValueError(f"{name!r} is run by Compose, and its migrations by a release's image: name the release")
    place = release or ("" if composed else service.get("path") or "")
    below = (service.get("source") or {}).get("migrations") or DIRECTORIES.get(migration["kind"])
    return {
        "database": migration["database"],
        "kind": migration["kind"],
        "directory": posixpath.join(place, below) if below else None,
        "pending": migration["pending"],
        "apply": migration["apply"],
        **_surroundings(service, place, identity if composed else ""),
        "lock_timeout_seconds": migration["lock_timeout_seconds"],
        "timeout_seconds": migration["timeout_seconds"],
        "backup_age_seconds": migration["backup_age_seconds"],
        "backup_directory": database["directory"],
        "backup_set": database["set"],
        "reach": database["reach"],
        "secret": database["secret"],
    }


def _surroundings(service: Mapping[str, Any], place: str, identity: str) -> dict[str, Any]:
    """Return where programs run: in an image, which has its own account and a release that keeps its variables, or on the host."""
    if identity:
        return {
            "chdir": None,
            "user": None,
            "environment_file": None,
            "release": {"service": service["name"], "id": identity},
        }
    return {
        "chdir": place or None,
        "user": service.get("user"),
        "environment_file": service["deploy"].get("environment_file"),
        "release": None,
    }


def _of_mongodb(system: Mapping[str, Any], migration: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is known of a database of MongoDB, which the program reaches by itself; None where it is another one."""
    engines = {one["name"]: one.get("engine") for one in system.get("databases") or []}
    name = migration["database"]
    if engines.get(name) != "mongodb":
        return None
    if migration["kind"] != "command":
        raise ValueError(
            f"{name!r} is a database of MongoDB: its migrations are a program's, set migration.kind to command"
        )
    sets = [task for task in plan_tasks(system, "mongodb_backup") if task["name"] == name]
    return {
        "reach": {},
        "secret": None,
        "directory": sets[0]["options"]["directory"] if sets else None,
        "set": sets[0]["set"] if sets else None,
    }
