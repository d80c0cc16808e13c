# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a system are on which of its hosts. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, nearest

PLACED = (
    "services",
    "databases",
    "redis",
    "queues",
    "buckets",
    "certificates",
    "endpoints",
    "ports",
    "logs",
    "backups",
    "point_in_time",
)
SERVERS = ("prometheus", "alertmanager", "grafana")
REACHED = ("databases", "redis")  # what is used over the network from hosts that do not have it
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def misplaced(system: Mapping[str, Any], inventory: Collection[str]) -> list[str]:
    """Return one line for each of ``hosts`` that names neither a host nor a group of the ``inventory``."""
    places = [(f"{PREFIX}{part}[{index}]", item) for part in PLACED for index, item in enumerate(system[part]) if item]
    monitoring = system["monitoring"] or {}
    places += [(f"{PREFIX}monitoring.{name}", monitoring[name]) for name in SERVERS if monitoring.get(name)]
    return [
        f"{path}.hosts[{place}] is {name!r}: the inventory has neither a host nor a group of this name; "
        f"{nearest(str(name), inventory)}"
        for path, item in places
        for place, name in enumerate(item["hosts"])
        if name not in inventory
    ]


def on_host(system: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return ``system`` as the host sees it that goes by ``names``, its own and those of its groups.

    What other hosts have is left out; what of it is reached over the network stands under ``elsewhere``.
    """
    running = {service["name"] for service in system["services"] if _here(service, names)}
    monitoring = dict(system["monitoring"] or {})
    monitoring.update({name: None for name in SERVERS if monitoring.get(name) and not _here(monitoring[name], names)})
    parts = {part: [item for item in system[part] if _here(item, names)] for part in PLACED}
    return {
        **system,
        **parts,
        "databases": [_as_seen_at_home(one) if one["service"] in running else one for one in parts["databases"]],
        "monitoring": monitoring,
        "elsewhere": {
            **{part: [item for item in system[part] if _is_reached(item, names)] for part in REACHED},
            # Their jobs may lie here all the same.
            "queues": [one for one in system["queues"] if one["library"] != "http" and not _here(one, names)],
        },
    }


def _here(item: Mapping[str, Any], names: Collection[str]) -> bool:
    return not item["hosts"] or bool(set(item["hosts"]) & set(names))


def _is_reached(item: Mapping[str, Any], names: Collection[str]) -> bool:
    return not _here(item, names) and bool(item["host"]) and item["host"] not in LOOPBACK


def _as_seen_at_home(database: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``database`` as its own host asks it: by peer login, for only a superuser sees the sessions of others.

    An address of the network is for other hosts; one of this host itself says that peer login does not serve.
    """
    if database["engine"] != "postgresql" or not database["host"] or database["host"] in LOOPBACK:
        return dict(database)
    return {**database, "host": None, "user": None, "password": None}
