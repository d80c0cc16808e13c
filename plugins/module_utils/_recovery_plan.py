# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system needs to come back on a host from nothing, by its description. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._recovery_fetches import (
    FILES,
    empty,
    is_saved,
    lost,
    plan_fetches,
)

System = Mapping[str, Any]
Service = Mapping[str, Any]
MANAGERS = ("systemd", "pm2", "compose")  # what this recovery can start from nothing
# Debian's packages, by the name of a unit of systemd. Others are described.
PACKAGES = {"nginx": "nginx", "postgresql": "postgresql", "redis-server": "redis-server"}
DOCKER = "docker.service"
# Installed only where there is no Docker: beside that of another source they would not go.
ENGINE = ("docker.io", "docker-cli", "docker-compose")
PROVEN = ("services", "endpoints", "databases", "redis", "queues", "certificates", "host", "probes")
# Of those, what a host that is cut off cannot answer.
DEAF = ("dns", "clock")
LEFT_OUT = {
    "storage": "a drill host has no way to the buckets once it is cut off",
    "dependencies": "a drill host has no way to what is outside",
    "monitoring": "nobody watches a drill host",
    "logs": "they begin with the drill",
    "backups": "none are made of a drill host",
    "updates": "they come from the network",
    "dns, clock": "a drill host has no way to what is outside",
}


class RecoveryError(ValueError):
    """A system that cannot come back by its description; the message says what is missing."""


def plan_recovery(system: System) -> dict[str, Any]:
    """Return what to install, fetch, restore, start and prove, in the words of the modules that do it.

    :param system: the description as the role system returns it
    :raises RecoveryError: something of it would not come back.
    """
    services = [one for one in system["services"] if not one["optional"]]
    wrong, fetches = _unknown(services, system), []
    try:
        fetches = plan_fetches(system)
        wrong += lost(system, services, fetches)
    except ValueError as exc:
        wrong.append(str(exc))
    if wrong:
        raise RecoveryError(f"{system['system']['name']} would not come back: {'; '.join(wrong)}")
    here = [one for one in services if one["manager"] in MANAGERS]
    known = system.get("recovery") or {}
    stores = _stores(system)
    first = sorted((one for one in here if _is_first(one, stores)), key=lambda one: one.get("unit") != DOCKER)
    then = [one for one in here if one not in first]
    return {
        "packages": list(dict.fromkeys([*_packages(system, here), *(known.get("packages") or [])])),
        "engine": list(ENGINE) if _projects(here) else [],
        "npm": list(
            dict.fromkeys([*(known.get("npm") or []), *_pm2(here, known.get("npm") or [])]),
        ),
        "accounts": sorted({*_pm2_accounts(here), *(system.get("access") or {}).get("accounts", [])}),
        "pm2_accounts": _pm2_accounts(here),
        "paths": [path for fetch in fetches if fetch["module"] == FILES for path in fetch["paths"]],
        "fetches": fetches,
        "projects": _projects(here, fetches),
        "roles": [one["name"] for one in _roles(system)],
        "servers": _servers(fetches),
        "databases": [fetch["name"] for fetch in fetches if fetch["module"] == "pg_backup"],
        "redis": [fetch["name"] for fetch in fetches if fetch["module"] == "redis_backup"],
        "empty": empty(system, fetches),
        "migrations": _migrations(system, fetches),
        "first": [one["name"] for one in first],
        "then": [one["name"] for one in then],
        # What a package has started reads what was restored only then: stores before their data, all else after it.
        "restart_first": [
            *([DOCKER] if _projects(here) else []),
            *(one["unit"] for one in first if one["manager"] == "systemd" and one["unit"] != DOCKER),
        ],
        "start_first": [one["name"] for one in first if one["manager"] == "compose"],
        "restart": [one["name"] for one in then if one["manager"] == "systemd"],
        "units": list(
            dict.fromkeys(unit for one in here if one["unit"] for unit in [one["unit"], *one["watch_units"]])
        ),
        "names": _names(system, here),
        "probes": [probe for probe in plan_probes(system, PROVEN) if probe["probe"] not in DEAF],
        "left_out": [
            *(f"{topic}: {why}" for topic, why in LEFT_OUT.items()),
            *(f"service {one['name']}: it runs at Vercel" for one in services if one["manager"] == "vercel"),
            *(f"service {one['name']}: it is optional" for one in system["services"] if one["optional"]),
        ],
    }


def _unknown(services: Iterable[Service], system: System) -> list[str]:
    """Return what this recovery has no means for."""
    known = (*MANAGERS, "vercel")
    return [
        *(f"service {one['name']} runs under {one['manager']}" for one in services if one["manager"] not in known),
        *(
            f"database {one['name']} is of {one['engine']}, which this recovery cannot restore"
            for one in system["databases"]
            if one["engine"] != "postgresql"
        ),
    ]


def _projects(services: Iterable[Service], fetches: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return the projects of Compose, each once, with the set that holds its directory and what of it is saved there."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in services:
        if one["manager"] == "compose":
            saved = [
                (fetch["set"], root) for fetch in fetches for root in fetch["paths"] if is_saved(one["path"], [root])
            ]
            key = (one["project"], one["path"], one["compose_file"])
            found[key] = dict(
                zip(("project", "path", "file", "set", "root"), (*key, *(saved[0] if saved else ("", ""))))
            )
    return list(found.values())


def _packages(system: System, services: Iterable[Service]) -> list[str]:
    found = [PACKAGES[one["name"]] for one in services if one["manager"] == "systemd" and one["name"] in PACKAGES]
    found += ["nodejs", "npm"] if any(one["manager"] == "pm2" for one in services) else []
    contained = {one["name"] for one in services if one["manager"] == "compose"}
    own = [one for one in system["databases"] if one.get("service") not in contained]
    return [*found, *(["postgresql"] if own else [])]


def _pm2(services: Iterable[Service], described: Iterable[str]) -> list[str]:
    """Return PM2 where it is needed and no version of it is described."""
    needed = any(one["manager"] == "pm2" for one in services)
    return ["pm2"] if needed and not any(one.split("@")[0] == "pm2" for one in described) else []


def _pm2_accounts(services: Iterable[Service]) -> list[str]:
    return sorted({one["user"] for one in services if one["manager"] == "pm2" and one["user"] != "root"})


def _roles(system: System) -> list[dict[str, Any]]:
    """Return the roles that must be there before a database is: those that are described, and the owners."""
    described = (system.get("recovery") or {}).get("roles") or []
    names = {one["name"] for one in described}
    owners = dict.fromkeys(one["owner"] for one in system["databases"] if one["owner"])
    return [*described, *({"name": owner, "password": None} for owner in owners if owner not in names)]


def recovery_roles(system: System) -> list[dict[str, Any]]:
    """Return the roles of PostgreSQL to make, with their passwords where they are described."""
    return [{"name": one["name"], "password": one.get("password")} for one in _roles(system)]


def _servers(fetches: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the servers of PostgreSQL that databases are restored into, each once."""
    servers: list[dict[str, Any]] = []
    for fetch in fetches:
        if fetch["module"] == "pg_backup" and fetch["reach"] not in servers:
            servers.append(fetch["reach"])
    return servers


def _migrations(system: System, fetches: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the databases whose migrations Prisma has noted in them, with how they are reached."""
    known = {one["name"]: one["schema"] for one in system["databases"] if one.get("migration_tool") == "prisma"}
    asked = [fetch for fetch in fetches if fetch["module"] == "pg_backup" and fetch["name"] in known]
    return [{"name": one["name"], "schema": known[one["name"]], "reach": one["reach"]} for one in asked]


def _is_first(service: Service, stores: Iterable[str]) -> bool:
    return service["name"] in stores or service.get("unit") == DOCKER


def _stores(system: System) -> set[str]:
    """Return the services that must run before anything is restored into them."""
    named = {one.get("service") for part in ("databases", "redis") for one in system[part]}
    asked = {one["name"] for one in system["services"] if (one.get("health") or {}).get("database")}
    return asked | {name for name in named if name}


def _names(system: System, services: Sequence[Service]) -> list[str]:
    """Return the public names of the system: on a drill host they mean that host, so that no check asks production."""
    urls = [(one.get("health") or {}).get("url") for one in services] + [one["url"] for one in system["endpoints"]]
    names = [urlsplit(url).hostname for url in urls if url]
    names += [domain for one in system["certificates"] for domain in one["domains"]]
    names += [place.rpartition(":")[0] for one in system["certificates"] for place in one["served_at"] or []]
    fit = [name for name in dict.fromkeys(names) if name and not name.startswith("*")]
    return [name for name in fit if name != "localhost" and ":" not in name and not name.replace(".", "").isdigit()]
