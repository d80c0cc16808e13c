# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a system's description mention of each other. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, nearest

USABLE = ("databases", "redis", "queues", "buckets", "dependencies")  # what the needs of a service may name
NO_DATABASE = f"{PREFIX}databases has none of this name"
# Part, key, the kinds of things that the key may name, and what is said where there is none.
MENTIONS = (
    ("logs", "pm2", ("pm2",), "no service of the manager pm2 has this name"),
    ("logs", "container", ("compose",), "no service of the manager compose has this name"),
    ("databases", "service", ("services",), "no service has this name"),
    ("redis", "service", ("services",), "no service has this name"),
    ("queues", "redis", ("redis",), f"{PREFIX}redis has none of this name"),
    ("queues", "service", ("services",), "no service has this name"),
    ("caches", "redis", ("redis",), f"{PREFIX}redis has none of this name"),
    ("caches", "log", ("logs",), f"{PREFIX}logs has none of this name"),
    ("backups", "databases", ("databases",), NO_DATABASE),
    ("backups", "redis", ("redis",), f"{PREFIX}redis has none of this name"),
    ("backups", "buckets", ("buckets",), f"{PREFIX}buckets has none of this name"),
    ("queries", "database", ("databases",), NO_DATABASE),
    ("secrets", "services", ("services",), "no service has this name"),
    ("services", "needs", USABLE, "no database, Redis server, queue, bucket or dependency has this name"),
    ("endpoints", "needs", ("services", *USABLE), "nothing that is described has this name"),
)


def items(system: Mapping[str, Any], part: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the items of a list that could be read, each with its place."""
    return [(index, item) for index, item in enumerate(system[part]) if item]


def names(system: Mapping[str, Any], part: str) -> list[str]:
    """Return the names that could be read in a list."""
    return [item["name"] for _index, item in items(system, part) if item["name"]]


def strangers(system: Mapping[str, Any]) -> list[str]:
    """Return one line for each name of a thing that nobody describes."""
    found = []
    for part, key, kinds, wrong in MENTIONS:
        known = [name for kind in kinds for name in _known(system, kind)]
        for index, item in items(system, part):
            for place, name in _mentioned(f"{PREFIX}{part}[{index}].{key}", item[key]):
                if name not in known:
                    found.append(f"{place} is {name!r}: {wrong}; {nearest(str(name), known)}")
    return [*found, *_rows(system)]


def _rows(system: Mapping[str, Any]) -> list[str]:
    """Return one line for each rule about the rows of a database that nobody describes: it would be passed over."""
    known, rules = names(system, "databases"), (system["retention"] or {}).get("rows") or []
    return [
        f"{PREFIX}retention.rows[{index}].database is {name!r}: {NO_DATABASE}; {nearest(str(name), known)}"
        for index, rule in enumerate(rules)
        if rule and (name := rule["database"]) and name not in known
    ]


def _known(system: Mapping[str, Any], kind: str) -> list[str]:
    """Return the names of a part, or of the services of a manager."""
    if kind in system:
        return names(system, kind)
    services = (service for _index, service in items(system, "services"))
    return [service["name"] for service in services if service["manager"] == kind and service["name"]]


def _mentioned(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(f"{path}[{place}]", name) for place, name in enumerate(value)]
    return [(path, value)] if value else []


def missing(system: Mapping[str, Any]) -> list[str]:
    """Return one line for each key that an item cannot do without, being of the kind that it is."""
    found = []
    for index, database in items(system, "databases"):
        if database["engine"] == "postgresql" and not database["owner"]:
            path = f"{PREFIX}databases[{index}].owner"
            found.append(f"{path} is missing ({database['name']}): the engine postgresql needs it")
    for index, queue in items(system, "queues"):
        key = "url" if queue["library"] == "http" else "redis"
        if not queue[key]:
            path = f"{PREFIX}queues[{index}].{key}"
            found.append(f"{path} is missing ({queue['name']}): the library {queue['library']} needs it")
    told: dict[str, str] = {}
    for index, cache in items(system, "caches"):
        if cache["log"] and cache["log"] in told:
            path, other = f"{PREFIX}caches[{index}].log", told[cache["log"]]
            found.append(
                f"{path} is {cache['log']!r}: it tells of {other!r} already, and their hits cannot be told apart"
            )
        told.setdefault(cache["log"] or "", cache["name"])
        if cache["redis"] and not cache["prefixes"]:
            path = f"{PREFIX}caches[{index}].prefixes"
            found.append(f"{path} is missing ({cache['name']}): they say which keys in Redis are the cache's")
    return [*found, *_backups(system), *_point_in_time(system)]


def _backups(system: Mapping[str, Any]) -> list[str]:
    """Return one line for each backup that nobody could make, by what it says of itself."""
    found = []
    buckets = names(system, "buckets")
    mirrors = {one["name"]: one["mirror"] for _index, one in items(system, "buckets")}
    for index, backup in items(system, "backups"):
        path, near = f"{PREFIX}backups[{index}]", f"({backup['name']})"
        ours = backup["made_by"] == "collection"
        if not ours and not backup["pattern"]:
            found.append(
                f"{path}.pattern is missing {near}: without it nobody knows which files another's script makes"
            )
        if ours and not any(backup[key] for key in ("databases", "redis", "files", "buckets")):
            found.append(f"{path} has none of databases, redis, files, buckets {near}: write what it holds")
        if ours and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", str(backup["name"])):
            found.append(
                f"{path}.name is {backup['name']!r}: files are named after it; use letters, digits, '.' and '-'"
            )
        for place, name in enumerate(backup["buckets"] if ours else []):
            if name in buckets and not mirrors[name]:
                found.append(
                    f"{path}.buckets[{place}] is {name!r}: that bucket has no mirror, so nothing says where to copy it"
                )
        for key in ("calendar", "encryption", "offsite", "drill", "buckets") if not ours else ():
            if backup[key]:
                found.append(
                    f"{path}.{key} needs made_by: collection {near}: what another's script does is not ours to say"
                )
        bucket = (backup["offsite"] or {}).get("bucket")
        if bucket and bucket not in buckets:
            found.append(
                f"{path}.offsite.bucket is {bucket!r}: {PREFIX}buckets has none of this name; {nearest(bucket, buckets)}"
            )
    return found


def _point_in_time(system: Mapping[str, Any]) -> list[str]:
    """Return one line for each cluster whose repository is in a bucket that nobody describes, or that is not named as Debian does."""
    found, buckets = [], names(system, "buckets")
    for index, item in items(system, "point_in_time"):
        path, bucket = f"{PREFIX}point_in_time[{index}]", (item["repository"] or {}).get("bucket")
        if bucket and bucket not in buckets:
            wrong = f"{PREFIX}buckets has none of this name; {nearest(bucket, buckets)}"
            found.append(f"{path}.repository.bucket is {bucket!r}: {wrong}")
        if not re.fullmatch(r"\d+/[A-Za-z0-9_-]+", str(item["cluster"])):
            found.append(
                f"{path}.cluster is {item['cluster']!r} ({item['name']}): write it as Debian does, such as 15/main"
            )
    return found
