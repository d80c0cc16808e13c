# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which copies off the host a recovery fetches, and what none of them holds. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import MAKERS, plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._restore_store_options import redis_options

System = Mapping[str, Any]
Fetch = dict[str, Any]
FILES = "file_backup"
REACH = ("login_host", "login_port", "login_user", "run_as", "project", "service")
WHERE = ("bucket", "endpoint", "region", "prefix")
KEPT_IN = ("pm2", "compose")  # managers whose services live in a directory that no package brings


def plan_fetches(system: System) -> list[Fetch]:
    """Return the newest copies to fetch, one for each thing: of the item that is made most often where several hold it.

    :raises ValueError: nothing that a Redis server runs in is described.
    """
    items = {item["name"]: item for item in system["backups"]}
    tasks = plan_tasks(system)
    copies = {(one["job"], one["set"]): one for one in tasks if one["module"] == "backup_offsite"}
    made = [one for one in tasks if one["module"] in MAKERS and (one["job"], one["set"]) in copies]
    chosen: dict[tuple[str, str], Fetch] = {}
    for task in sorted(made, key=lambda one: items[one["job"]]["max_age_seconds"]):
        # All sets of files are needed, for each holds other paths.
        key = (task["module"], task["set"] if task["module"] == FILES else task["name"])
        if key not in chosen:
            chosen[key] = _fetch(system, task, copies[task["job"], task["set"]])
    return list(chosen.values())


def _fetch(system: System, task: Mapping[str, Any], copy: Mapping[str, Any]) -> Fetch:
    reach = {key: task["options"][key] for key in REACH if task["options"].get(key) is not None}
    login = None
    if task["module"] == "redis_backup":
        found = redis_options(system, task["name"])
        reach, login = found["reach"], found["secret"]
    return {
        **{key: task[key] for key in ("module", "name", "set", "job")},
        "paths": list(task["options"].get("paths") or []),
        "options": {key: copy["options"][key] for key in WHERE if copy["options"].get(key) is not None},
        "secrets": copy["secrets"],
        "reach": reach,
        "login": login,  # the name of the secret by which the server is asked
        "canaries": [one["canary"] for one in system["databases"] if one["name"] == task["name"] and one["canary"]],
    }


def lost(system: System, services: Iterable[Mapping[str, Any]], fetches: Sequence[Fetch]) -> list[str]:
    """Return what should come back, and no backup off the host holds."""
    saved = {fetch["name"] for fetch in fetches if fetch["module"] == "pg_backup"}
    paths = [path for fetch in fetches for path in fetch["paths"]]
    found = [f"database {one['name']}" for one in system["databases"] if one["name"] not in saved]
    found += [f"Redis server {name}" for name in _redis(system, fetches) if name in _wanted(system)]
    for one in services:
        if one["manager"] in KEPT_IN and one["path"] and not is_saved(one["path"], paths):
            found.append(f"{one['path']} of {one['name']}")
    return [f"no item of ops_backups with offsite holds {', '.join(found)}"] if found else []


def empty(system: System, fetches: Sequence[Fetch]) -> list[str]:
    """Return the Redis servers that come back without data, since no backup at all is described for them: caches, as a rule."""
    return [name for name in _redis(system, fetches) if name not in _wanted(system)]


def _redis(system: System, fetches: Sequence[Fetch]) -> list[str]:
    saved = {fetch["name"] for fetch in fetches if fetch["module"] == "redis_backup"}
    return [one["name"] for one in system["redis"] if one["name"] not in saved]


def _wanted(system: System) -> set[str]:
    """Return the Redis servers whose data somebody wants: they are in a backup, or hold a queue."""
    backed_up = {name for item in system["backups"] for name in item.get("redis") or []}
    return backed_up | {queue["redis"] for queue in system.get("queues") or [] if queue.get("redis")}


def is_saved(path: str, roots: Iterable[str]) -> bool:
    """Return whether ``path`` is one of ``roots``, or below one."""
    parts = PurePosixPath(path)
    return any(PurePosixPath(root) == parts or PurePosixPath(root) in parts.parents for root in roots)
