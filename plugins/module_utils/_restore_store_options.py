# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system's description says of the restore of a Redis server, a MongoDB database, or of files. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import FILES, plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import clean_roots, is_below
from ansible_collections.runbook.ops.plugins.module_utils._health_things import container_of, elsewhere, given, thing
from ansible_collections.runbook.ops.plugins.module_utils._reach import reach_of_mongodb

System = Mapping[str, Any]
UNSTOPPABLE = "vercel"  # what it serves cannot be stopped from here
CERTIFICATES = "/etc/letsencrypt"  # who serves them is not described: whoever takes on a change by a reload
PLACES = ("directory", "set")


def redis_options(system: System, name: str) -> dict[str, Any]:
    """Return how the Redis server ``name`` is reached and run, where its backups are, and who uses it.

    Who uses it names it in ``needs``, comes after the service it runs in, or works on one of its queues; that service itself is none.

    :raises ValueError: there is no such server on this host, or nothing that it runs in is described.
    """
    known = {one["name"]: one for one in system.get("redis") or []}
    if name not in known:
        far = [one["name"] for one in elsewhere(system, "redis")]
        where = "it runs elsewhere: limit the run to the host that has it" if name in far else _listed(known)
        raise ValueError(f"there is no Redis server {name!r} on this host: {where}")
    server = known[name]
    service = container_of(system, server)
    if service is None or service["manager"] not in ("systemd", "compose"):
        raise ValueError(
            f"what runs the Redis server {name!r} is not described: set its service in ops_redis to one of ops_services whose manager "
            "is systemd or compose"
        )
    if service["manager"] == "systemd":
        reach = {"host": server.get("host"), "unit": service["unit"]}
    else:
        reach = {"project": service["project"], "service": service["compose_service"]}
    workers = {queue.get("service") for queue in system.get("queues") or [] if queue.get("redis") == name}
    users = [
        one
        for one in system.get("services") or []
        if one["name"] != service["name"]
        and (name in one["needs"] or service["name"] in one["after"] or one["name"] in workers)
    ]
    return {
        **_made_by(plan_tasks(system, "redis_backup"), name),
        "reach": {"name": name, **given(**reach, port=server.get("port"), user=server.get("user"))},
        "secret": thing("redis", server) if server.get("password") else None,
        "about": thing("redis", server),
        **_who(users, []),
    }


def mongodb_options(system: System, name: str) -> dict[str, Any]:
    """Return how the MongoDB database ``name`` is reached, where its backups are, and who uses it.

    Who uses it names it in ``needs``, or comes after the service it runs in; that service itself is none.

    :raises ValueError: there is no such database on this host, or it is one of PostgreSQL.
    """
    known = {one["name"]: one for one in system.get("databases") or [] if one.get("engine") == "mongodb"}
    if name not in known:
        raise ValueError(f"there is no MongoDB database {name!r} on this host: {_listed(known)}")
    database = known[name]
    services = system.get("services") or []
    servers = {
        one["name"]
        for one in services
        if one["name"] == database.get("service") or (one.get("health") or {}).get("database") == name
    }
    users = [
        one
        for one in services
        if one["name"] not in servers and (name in (one.get("needs") or []) or servers & set(one.get("after") or []))
    ]
    return {
        **_made_by(plan_tasks(system, "mongodb_backup"), name),
        "reach": {"database": name, **reach_of_mongodb(system, database)},
        "secret": thing("database", database) if database.get("password") else None,
        "about": thing("database", database),
        **_who(users, []),
    }


def file_options(system: System, name: str, paths: Sequence[str] = ()) -> dict[str, Any]:
    """Return which paths the item ``name`` of ``ops_backups`` saves, where its backups are, and which services use them.

    A service uses what lies in its directory or its configuration, or what that lies in. One that takes on a change by a reload is
    reloaded; any other is stopped and started.

    :param paths: only these, of the paths that are saved or below them
    :raises ValueError: there is no such item on this host, or it does not save these paths.
    """
    tasks = {task["job"]: task for task in plan_tasks(system, "file_backup")}
    if name not in tasks:
        raise ValueError(f"no item of ops_backups that saves files of this host is called {name!r}: {_listed(tasks)}")
    saved = tasks[name]["options"]["paths"]
    chosen = clean_roots(paths) if paths else list(saved)
    strange = [path for path in chosen if not any(is_below(path, root) for root in saved)]
    if strange:
        raise ValueError(f"{strange[0]} is not in ops_backups {name!r}, which saves {', '.join(saved)}")
    services = system.get("services") or []
    used = [one for one in services if any(_meet(path, mine) for path in chosen for mine in _paths(one))]
    shown = any(_meet(path, CERTIFICATES) for path in chosen)
    reloaded = [one for one in services if one["on_change"] == "reload" and (one in used or shown)]
    return {
        **_made_by(tasks.values(), FILES, job=name),
        "reach": {"name": name, "paths": chosen},
        "secret": None,
        "about": None,
        **_who([one for one in used if one not in reloaded], reloaded),
    }


def _made_by(tasks: Iterable[Mapping[str, Any]], name: str, job: str | None = None) -> dict[str, Any]:
    """Return where the backups of the first item that makes some are; nowhere where none does."""
    options: Mapping[str, Any] = next(
        (one["options"] for one in tasks if one["name"] == name and job in (None, one["job"])), {}
    )
    places = {key: options.get(key) for key in PLACES}
    return {**places, "form": {key: options[key] for key in ("compression", "encryption") if key in options}}


def _who(stopped: Sequence[Mapping[str, Any]], reloaded: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "writers": [one["name"] for one in stopped if one["manager"] != UNSTOPPABLE],
        "reloaded": [one["name"] for one in reloaded],
        "unstoppable": [one["name"] for one in stopped if one["manager"] == UNSTOPPABLE],
        "canaries": [],
    }


def _paths(service: Mapping[str, Any]) -> list[str]:
    known = [service.get("path"), service.get("upstream_config"), *service["config"]]
    return [path for path in known if path]


def _meet(one: str, other: str) -> bool:
    return is_below(one, other) or is_below(other, one)


def _listed(names: Iterable[str]) -> str:
    return f"known are {', '.join(names) or 'none'}"
