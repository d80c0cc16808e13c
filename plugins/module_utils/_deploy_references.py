# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare how services are deployed with the rest of a system's description. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, nearest
from ansible_collections.runbook.ops.plugins.module_utils._mentions import items, names

BESIDE = {
    "pm2": ("port", "standby_name", "standby_port"),
    "compose": ("port", "standby_port"),
}  # what a second one needs
MANAGERS = {
    "blue_green": ("pm2", "compose"),
    "in_place": ("pm2", "compose"),
    "rolling": ("pm2", "compose"),
    "vercel": ("vercel",),
}
AT_FRONT = ("port", "standby_port", "health")  # what is described where requests come in


def front_of(service: Mapping[str, Any], described: Iterable[Mapping[str, Any]]) -> Any:
    """Return the described service that shares the requests among the containers of ``service``; None where there is none."""
    name = (service["deploy"] or {}).get("front")
    if not name or service["manager"] != "compose":
        return None
    for one in described:
        if one["manager"] == "compose" and (one["path"], one["compose_service"] or one["name"]) == (
            service["path"],
            name,
        ):
            return one if one["name"] != service["name"] else None
    return None


def deploy_contradictions(system: Mapping[str, Any]) -> list[str]:
    """Return what is wrong between ``deploy`` of the services and the rest of a normalised description, one line each."""
    services, databases = names(system, "services"), names(system, "databases")
    found: list[str] = []
    for index, service in items(system, "services"):
        deploy = service["deploy"]
        if not deploy:
            continue
        path = f"{PREFIX}services[{index}].deploy"
        front = front_of(service, [one for _index, one in items(system, "services")])
        if front:
            found += _at_front(path.rpartition(".")[0], service, front)
        found += _needs(path, {**service, **{key: front[key] for key in AT_FRONT}} if front else service, deploy)
        if deploy["proxy"] and deploy["proxy"] not in services:
            hint = nearest(deploy["proxy"], services)
            found.append(f"{path}.proxy is {deploy['proxy']!r}: no service has this name; {hint}")
        database = (deploy["migration"] or {}).get("database")
        if database and database not in databases:
            hint = nearest(database, databases)
            found.append(f"{path}.migration.database is {database!r}: {PREFIX}databases has none of this name; {hint}")
        engine = next((one.get("engine") for one in system["databases"] if one["name"] == database), None)
        if engine == "mongodb" and deploy["migration"]["kind"] != "command":
            found.append(
                f"{path}.migration.kind is {deploy['migration']['kind']!r}: {database} is a database of MongoDB, which only a program can "
                "migrate, set it to command"
            )
    return found


def _at_front(path: str, service: Mapping[str, Any], front: Mapping[str, Any]) -> Iterator[str]:
    for key in AT_FRONT:
        if service[key]:
            yield f"{path}.{key} is that of its front: describe it at {front['name']}, which runs only after {service['name']} does"


def _needs(path: str, service: Mapping[str, Any], deploy: Mapping[str, Any]) -> Iterator[str]:
    strategy, manager = deploy["strategy"], service["manager"]
    if strategy in MANAGERS and manager not in MANAGERS[strategy]:
        known = " or ".join(MANAGERS[strategy])
        yield f"{path}.strategy is {strategy!r}: it is for the manager {known}, and this is {manager}"
    elif strategy == "blue_green":
        for key in BESIDE[manager]:
            if not service[key]:
                yield f"{path.rpartition('.')[0]}.{key} is missing ({service['name']}): strategy blue_green needs it"
    if deploy["front"] and manager != "compose":
        yield f"{path}.front is {deploy['front']!r}: it is for the manager compose, and this is {manager}"
    elif deploy["front"] and deploy["front"] == (service["compose_service"] or service["name"]):
        yield f"{path}.front is {deploy['front']!r}: the service itself has this name; name what leads to it"
    elif not deploy["front"] and manager == "compose" and (service["replicas"] or 1) > 1:
        yield f"{path}.front is missing ({service['name']}): its {service['replicas']} containers cannot share one port; name what leads to them"
    if deploy["kind"] == "git" and strategy != "vercel" and not service["source"]:
        yield f"{path.rpartition('.')[0]}.source is missing ({service['name']}): releases come from Git"
    if (deploy["migration"] or {}).get("kind") == "sql" and not (service["source"] or {}).get("migrations"):
        yield f"{path.rpartition('.')[0]}.source.migrations is missing ({service['name']}): migration sql needs it"
    if deploy["kind"] == "image" and manager != "compose":
        yield f"{path}.kind is 'image': it is for the manager compose, and this is {manager}"
