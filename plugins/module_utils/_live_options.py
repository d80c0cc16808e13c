# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of probes that mean the live slot of a service: filled in on the host, where it is known. Private to this collection.

A switch happens on the host, and what looks at the service, perhaps a timer, was told long before. So it is told the service, and
``{live.name}``, ``{live.port}`` and ``{live.unit}`` in its other options stand for the slot that gets the requests at that moment. The
ids of checks stay those of the first slot: an alert outlives a deploy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

PLACEHOLDER = re.compile(r"\{live\.(name|port|unit)\}")
COMPOSE_FILE = "compose.json"  # of a slot, in its directory
BASE = "base"  # the slot that a person brought up with Compose
FRONT = "-front"  # after the name of a slot's project: what shares requests among its containers


class Place(NamedTuple):
    """Where a slot is."""

    slot: str
    name: str  # of the application in PM2, or of the Compose project
    port: int
    directory: str  # what it is run from, where we made it


Read = Callable[[str], "Place | None"]  # the live slot of a service; None where nothing was deployed


def as_deployed(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return a described service with the ports and the health check at which its releases are asked: those of its front, where it has one."""
    return {**service, **(service.get("behind") or {})}


def live_of(service: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the option ``live`` of a probe that looks at ``service``; None where it has one slot only.

    :param service: as the role ``system`` describes it
    """
    front = service.get("front_of")
    if front:
        unit = service["compose_service"]
        return {
            "service": front["name"],
            "name": service["project"],
            "port": front["port"],
            "unit": unit,
            "front": True,
        }
    is_compose = service["manager"] == "compose"
    if not _has_slots(service, is_compose=is_compose):
        return None
    name = service["project"] if is_compose else service["name"]
    unit = service["compose_service"] if is_compose else service["name"]
    return {"service": service["name"], "name": name, "port": as_deployed(service)["port"], "unit": unit}


def _has_slots(service: Mapping[str, Any], *, is_compose: bool) -> bool:
    deploy = service.get("deploy") or {}
    if deploy.get("strategy") in ("in_place", "rolling"):  # Compose: in a project of its own even so
        return is_compose or bool(
            deploy["strategy"] == "rolling" and deploy.get("proxy") and service.get("standby_name")
        )
    return deploy.get("strategy") == "blue_green"


def _unit(live: Mapping[str, Any], project: str) -> str:
    """Return the name of a service in the Compose file of one of its slots."""
    return f"{project}{FRONT}" if live.get("front") else project


def placed(service: Mapping[str, Any], url: str) -> str:
    """Return ``url`` of the first slot with a placeholder for its port, where it is that of a slot."""
    port, standby = service.get("port"), (service.get("health") or {}).get("standby_url")
    found = url.replace(f":{port}", ":{live.port}", 1)
    same = standby and found.replace("{live.port}", str(service.get("standby_port"))) == standby
    return (found if same else url).replace("{name}", "{live.name}")


def at_live(spec: Mapping[str, Any], read: Read) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a probe's options with the live slot in them, and what stands for its name and port in the ids of its checks.

    :raises ValueError: it is not known which slot is live.
    """
    first = dict(spec["live"])
    found = read(str(first["service"]))
    now = {**first, "name": found.name, "port": found.port} if found else first
    if found and found.slot != BASE:
        now["unit"] = _unit(first, found.name)  # in a slot of ours a service has the name of its project
    options = {key: _filled(value, now) for key, value in spec.items() if key != "live"}
    return options, {str(now[key]): str(first[key]) for key in ("name", "port", "unit") if now[key] != first[key]}


def service_at_live(service: Mapping[str, Any], read: Read | None = None) -> dict[str, Any]:
    """Return a described service with what it is at its manager now: ``app`` for PM2, the place of the live slot for Compose.

    :raises ValueError: it is not known which slot is live.
    """
    live = live_of(service)
    found = (read or read_slot)(live["service"]) if live else None
    if found is None or live is None:
        return dict(service)
    health = dict(service.get("health") or {})
    if health.get("url"):
        health["url"] = _filled(placed(service, health["url"]), {"port": found.port, "name": found.name})
    at: dict[str, Any] = {"app": found.name}
    if service["manager"] == "compose":
        at = {"project": found.name}
        if found.slot != BASE:
            at.update(compose_service=_unit(live, found.name), path=found.directory, compose_file=COMPOSE_FILE)
    return {**service, **at, "health": health or service.get("health")}


def lasting(identity: str, names: Mapping[str, str]) -> str:
    """Return the id of a check as it was before the first switch."""
    return "".join(names.get(part, part) for part in re.split(r"([:/])", identity))


def every_slot(service: Mapping[str, Any], read: Read | None = None) -> list[dict[str, Any]]:
    """Return a service with two slots once for each, the live one first: whoever stops it must stop what stands idle too.

    :raises ValueError: it is not known which slot is live.
    """
    slots = live_of(service)
    if slots is None:
        return [dict(service)]
    live = service_at_live(service, read)
    idle = {**service, "name": f"{service['name']} (idle slot)", "health": None, "after": None}
    if service["manager"] == "pm2":
        apps = (service["name"], service["standby_name"])
        return [live, *({**idle, "app": app} for app in apps if app != live.get("app", service["name"]))]
    others: list[dict[str, Any]] = []
    if live["project"] != service["project"]:
        others.append({**idle, "name": f"{service['name']} (slot {BASE})"})
    for place in _made(slots["service"]) if read is None else ():
        if place.name != live["project"]:
            at = {"project": place.name, "compose_service": _unit(slots, place.name), "path": place.directory}
            others.append(
                {**idle, **at, "compose_file": COMPOSE_FILE, "name": f"{service['name']} (slot {place.slot})"}
            )
    return [live, *others]


def read_slot(service: str) -> Place | None:
    """Return the live slot of ``service`` on this host; None where nothing was deployed.

    :raises ValueError: it is not known.
    """
    from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (  # noqa: PLC0415  # where there are deploys
        DeployPaths,
        StateError,
    )
    from ansible_collections.runbook.ops.plugins.module_utils._live_state import read_live  # noqa: PLC0415

    try:
        paths = DeployPaths(service)
        live = read_live(paths)
    except StateError as exc:
        raise ValueError(str(exc)) from exc
    return Place(live.slot, live.label, live.port, str(paths.slot(live.slot))) if live else None


def _made(service: str) -> list[Place]:
    """Return the slots of Compose that were made here: their files say what they are called."""
    import json  # noqa: PLC0415  # only who stops a service with slots needs it

    from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths  # noqa: PLC0415

    found = []
    for file in sorted(DeployPaths(service).slots.glob(f"*/{COMPOSE_FILE}")):
        try:
            found.append(Place(file.parent.name, json.loads(file.read_bytes())["name"], 0, str(file.parent)))
        except (OSError, ValueError, KeyError) as exc:
            raise ValueError(
                f"{file} cannot be read ({exc}): see what docker compose ls shows, then move it away"
            ) from exc
    return found


def _filled(value: Any, now: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: str(now[found[1]]), value)
    if isinstance(value, list):
        return [_filled(one, now) for one in value]
    return value
