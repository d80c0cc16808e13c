# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which caches of a system can be emptied on a host, and what in the same server must stay. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_stores import queues, redis
from ansible_collections.runbook.ops.plugins.module_utils._health_things import elsewhere
from ansible_collections.runbook.ops.plugins.module_utils._words import closest

ANY_QUEUE = "bull:"  # what the keys of Bull and BullMQ begin with unless somebody says otherwise
SERVER = ("host", "port", "project", "service", "user", "database")


def plan_caches(description: Mapping[str, Any], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the caches of this host, each with its ``kind`` and the ``options`` of the module that empties it.

    :param names: those that are wanted; all of them without it
    :raises ValueError: there is none of a name.
    """
    known = {cache["name"]: cache for cache in description.get("caches") or []}
    for name in names:
        if name not in known:
            found = closest(name, list(known))
            hint = f"did you mean {found}?" if found else f"known are {', '.join(known) or 'none'}"
            raise ValueError(f"ops_caches has none on this host that is called {name!r}: {hint}")
    return [_planned(description, cache) for name, cache in known.items() if not names or name in names]


def _planned(description: Mapping[str, Any], cache: Mapping[str, Any]) -> dict[str, Any]:
    if cache["directory"]:
        return {"name": cache["name"], "kind": "nginx", "options": {"directory": cache["directory"]}, "secret": None}
    server = next((one for one in redis(description) if one["name"] == cache["redis"]), None)
    if server is None:
        raise ValueError(
            f"the cache {cache['name']!r} is in the Redis server {cache['redis']!r}, which this host does not have: "
            "give both the same hosts"
        )
    place = {key: server[key] for key in SERVER if key in server}
    options = {
        **place,
        "name": server["name"],
        "prefixes": list(cache["prefixes"]),
        "expiring": cache["expiring"],
        "protected": sorted(_protected(description, place)) or [ANY_QUEUE],
    }
    return {"name": cache["name"], "kind": "redis", "options": options, "secret": server.get("password")}


def _protected(description: Mapping[str, Any], place: Mapping[str, Any]) -> set[str]:
    """Return what the keys of the queues begin with that are in the same database of the same server.

    A queue may be looked at from another host than that of its server.
    """
    same = {
        one["name"]
        for one in redis(description)
        if all(one.get(key) == place.get(key) for key in SERVER if key != "user")
    }
    others = elsewhere(description, "queues")
    far = {f"{one['prefix']}:{one['name']}:" for one in others if one["library"] != "http" and one.get("redis") in same}
    return far | {
        f"{probe['prefix']}:{probe['queue']}:"
        for probe in queues(description)
        if probe["probe"] == "queue" and all(probe.get(key) == place.get(key) for key in SERVER if key != "user")
    }
