# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes look at what holds data: databases, Redis, queues and object storage; and the secrets that they need. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_things import (
    STORES,
    elsewhere,
    given,
    is_contained,
    limits_of,
    place_of,
    thing,
)

System = Mapping[str, Any]
Probes = list[dict[str, Any]]


def databases(system: System) -> Probes:
    """Return the probes of PostgreSQL and MongoDB."""
    kinds = {"postgresql": _postgresql, "mongodb": _mongodb}
    return [
        {**kinds[database.get("engine") or "postgresql"](system, database), "about": thing("database", database)}
        for database in system.get("databases") or []
    ]


def reached(system: System, part: str) -> Probes:
    """Return a look from here at what services here need of other hosts: whether it can be reached. The rest is theirs."""
    needed = {name for service in system.get("services") or [] for name in service.get("needs") or []}
    needed |= {server["name"] for server in _far_servers(system)}
    return [
        {
            "probe": "port",
            "name": f"{store['name']} from here",
            "section": "Databases",
            "host": store["host"],
            "port": store["port"],
            "about": thing(STORES[part], store),
        }
        for store in elsewhere(system, part)
        if store["name"] in needed
    ]


def _postgresql(system: System, database: Mapping[str, Any]) -> dict[str, Any]:
    inside, remote = is_contained(system, database), database.get("host")
    place = place_of(system, database) if inside else given(host=remote, port=database.get("port"))
    login = database.get("user") or (database["owner"] if remote and not inside else None)
    return {
        "probe": "postgresql",
        "name": database["name"],
        "database": database["name"],
        **place,
        **given(superuser=database.get("superuser"), user=login),
        **_password(database, "database"),
        **limits_of(
            system,
            connections_percent="connections_percent",
            transaction_seconds="transaction_seconds",
            idle_seconds="idle_transaction_seconds",
            lag_seconds="replication_lag_seconds",
        ),
    }


def _mongodb(system: System, database: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("user", "auth_database", "replica_set")
    return {
        "probe": "mongodb",
        "name": database["name"],
        "port": database["port"],
        **(place_of(system, database) if is_contained(system, database) else given(host=database.get("host"))),
        **given(**{key: database.get(key) for key in keys}),
        **_password(database, "database"),
        **limits_of(
            system,
            connections_percent="connections_percent",
            operation_seconds="transaction_seconds",
            lag_seconds="replication_lag_seconds",
        ),
    }


def redis(system: System) -> Probes:
    """Return the probes of Redis servers."""
    return [
        {
            "probe": "redis",
            "name": server["name"],
            **_server(system, server),
            **limits_of(system, memory_percent="redis_memory_percent", clients_percent="connections_percent"),
            "about": thing("redis", server),
        }
        for server in system.get("redis") or []
    ]


def queues(system: System) -> Probes:
    """Return the probes of job queues, by what keeps their jobs."""
    servers = {server["name"]: server for server in [*(system.get("redis") or []), *_far_servers(system)]}
    probes: Probes = []
    for queue in system.get("queues") or []:
        limits = {key: value for key, value in (queue.get("limits") or {}).items() if value}
        named = {"name": queue["name"], "queue": queue["name"], **limits, "about": thing("queue", queue)}
        if queue["library"] == "http":
            token = {"token": f"queue:{queue['name']}"} if queue.get("token") else {}
            place = {"probe": "queue_http", "url": queue["url"], **given(path=queue.get("json_path")), **token}
            if queue["url"] in [one.get("url") for one in probes]:
                place["guarded"] = False  # whether it wants the token is asked once
        elif queue["redis"] in servers:
            place = {"probe": "queue", "prefix": queue["prefix"], **_server(system, servers[queue["redis"]])}
        else:
            continue  # its Redis server is asked on the host that has it
        probes.append({**place, **named})
    return probes


def _far_servers(system: System) -> list[Mapping[str, Any]]:
    """Return the Redis servers of other hosts whose queues are looked at from here, because the description says so."""
    asked = {queue.get("redis") for queue in system.get("queues") or [] if queue.get("hosts")}
    return [server for server in elsewhere(system, "redis") if server["name"] in asked]


def buckets(system: System) -> Probes:
    """Return the probes of object storage, for the buckets that there are keys for."""
    everything = system.get("buckets") or []
    items = [one for one in system.get("backups") or [] if one.get("made_by") == "collection"]
    due = {name: item["max_age_seconds"] for item in items for name in item.get("buckets") or []}
    mirrored = {one.get("mirror"): one.get("mirror_max_age_seconds") or due.get(one["name"]) for one in everything}
    return [
        {
            "probe": "bucket",
            "name": bucket["name"],
            **{key: bucket[key] for key in ("bucket", "region")},
            **given(**{key: bucket.get(key) for key in ("endpoint", "prefix", "max_age_seconds", "min_size_bytes")}),
            **given(mirror_max_age_seconds=mirrored.get(bucket["name"])),
            **{key: True for key in ("versioning", "encryption") if bucket.get(key)},
            **{key: f"bucket:{bucket['name']}:{key}" for key in ("access_key", "secret_key")},
            "about": thing("bucket", bucket),
        }
        for bucket in everything
        if bucket.get("access_key") and bucket.get("secret_key")
    ]


def secrets(system: System) -> dict[str, str]:
    """Return the secrets that the probes of ``system`` name, by those names."""
    found = {}
    for part, kind, key in (
        ("databases", "database", "password"),
        ("redis", "redis", "password"),
        ("queues", "queue", "token"),
    ):
        found.update({thing(kind, item): item[key] for item in system.get(part) or [] if item.get(key)})
    found.update({thing("redis", server): server["password"] for server in _far_servers(system) if server["password"]})
    for bucket in system.get("buckets") or []:
        for key in ("access_key", "secret_key"):
            if bucket.get(key):
                found[f"bucket:{bucket['name']}:{key}"] = bucket[key]
    return found


def _server(system: System, server: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a Redis server is, and who asks."""
    inside = is_contained(system, server)
    place = place_of(system, server) if inside else {"host": server["host"]}
    return {
        **place,
        "port": server["port"],
        **given(user=server.get("user"), database=server.get("database") or None),
        **_password(server, "redis"),
    }


def _password(item: Mapping[str, Any], kind: str) -> dict[str, str]:
    # The secret itself goes another way, so that no probe's options hold one.
    return {"password": thing(kind, item)} if item.get("password") else {}
