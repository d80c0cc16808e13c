# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system needs to come back on a host from nothing, by its description. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import MAKERS, plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes

System = Mapping[str, Any]
MANAGERS = ("systemd", "pm2")  # what this recovery can start from nothing
# Debian's packages, by the name of a unit of systemd. Others are described.
PACKAGES = {"nginx": "nginx", "postgresql": "postgresql", "redis-server": "redis-server"}
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
REACH = ("login_host", "login_port", "login_user", "run_as")


class RecoveryError(ValueError):
    """A system that cannot come back by its description; the message says what is missing."""


def plan_recovery(system: System) -> dict[str, Any]:
    """Return what to install, fetch, restore, start and prove, in the words of the modules that do it.

    :param system: the description as the role system returns it
    :raises RecoveryError: something of it would not come back.
    """
    services = [one for one in system["services"] if not one["optional"]]
    fetches = _fetches(system)
    wrong = [*_unknown(services, system), *_lost(system, services, fetches)]
    if wrong:
        raise RecoveryError(f"{system['system']['name']} would not come back: {'; '.join(wrong)}")
    here = [one for one in services if one["manager"] in MANAGERS]
    known = system.get("recovery") or {}
    paths = [path for fetch in fetches if fetch["module"] == "file_backup" for path in fetch["paths"]]
    stores = _stores(system)
    return {
        "packages": list(dict.fromkeys([*_packages(system, here), *(known.get("packages") or [])])),
        "npm": list(
            dict.fromkeys([*(known.get("npm") or []), *_pm2(here, known.get("npm") or [])]),
        ),
        "accounts": sorted({one["user"] for one in here if one["manager"] == "pm2" and one["user"] != "root"}),
        "paths": paths,
        "fetches": fetches,
        "roles": [one["name"] for one in _roles(system)],
        "databases": [fetch["name"] for fetch in fetches if fetch["module"] == "pg_backup"],
        "first": [one["name"] for one in here if one["name"] in stores],
        "then": [one["name"] for one in here if one["name"] not in stores],
        # What a package has started reads what was restored only then.
        "restart": [one["name"] for one in here if one["manager"] == "systemd" and one["name"] not in stores],
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


def _unknown(services: Iterable[Mapping[str, Any]], system: System) -> list[str]:
    """Return what this recovery has no means for."""
    known = (*MANAGERS, "vercel")
    return [
        *(f"service {one['name']} runs under {one['manager']}" for one in services if one["manager"] not in known),
        *(
            f"database {one['name']} is of {one['engine']}"
            for one in system["databases"]
            if one["engine"] != "postgresql"
        ),
        *(f"Redis server {one['name']}" for one in system["redis"]),
    ]


def _fetches(system: System) -> list[dict[str, Any]]:
    """Return the newest copies to fetch, one for each thing: of the item that is made most often where several hold it."""
    items = {item["name"]: item for item in system["backups"]}
    tasks = plan_tasks(system)
    copies = {(one["job"], one["set"]): one for one in tasks if one["module"] == "backup_offsite"}
    made = [one for one in tasks if one["module"] in MAKERS and (one["job"], one["set"]) in copies]
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for task in sorted(made, key=lambda one: items[one["job"]]["max_age_seconds"]):
        copy = copies[task["job"], task["set"]]
        where = ("bucket", "endpoint", "region", "prefix")
        fetch = {
            **{key: task[key] for key in ("module", "name", "set", "job")},
            "paths": list(task["options"].get("paths") or []),
            "options": {key: copy["options"][key] for key in where if copy["options"].get(key) is not None},
            "secrets": copy["secrets"],
            "reach": {key: task["options"][key] for key in REACH if task["options"].get(key) is not None},
            "canaries": [one["canary"] for one in system["databases"] if one["name"] == task["name"] and one["canary"]],
        }
        # All sets of files are needed, for each holds other paths.
        chosen.setdefault((task["module"], task["set"] if task["module"] == "file_backup" else task["name"]), fetch)
    return list(chosen.values())


def _lost(system: System, services: Iterable[Mapping[str, Any]], fetches: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what no backup off the host holds."""
    saved = {fetch["name"] for fetch in fetches if fetch["module"] == "pg_backup"}
    paths = [path for fetch in fetches for path in fetch["paths"]]
    lost = [f"database {one['name']}" for one in system["databases"] if one["name"] not in saved]
    for one in services:
        if one["manager"] == "pm2" and one["path"] and not _is_saved(one["path"], paths):
            lost.append(f"{one['path']} of {one['name']}")
    return [f"no item of ops_backups with offsite holds {', '.join(lost)}"] if lost else []


def _is_saved(path: str, roots: Iterable[str]) -> bool:
    parts = PurePosixPath(path)
    return any(PurePosixPath(root) == parts or PurePosixPath(root) in parts.parents for root in roots)


def _packages(system: System, services: Iterable[Mapping[str, Any]]) -> list[str]:
    found = [PACKAGES[one["name"]] for one in services if one["manager"] == "systemd" and one["name"] in PACKAGES]
    found += ["nodejs", "npm"] if any(one["manager"] == "pm2" for one in services) else []
    found += ["postgresql"] if system["databases"] else []
    return found


def _pm2(services: Iterable[Mapping[str, Any]], described: Iterable[str]) -> list[str]:
    """Return PM2 where it is needed and no version of it is described."""
    needed = any(one["manager"] == "pm2" for one in services)
    return ["pm2"] if needed and not any(one.split("@")[0] == "pm2" for one in described) else []


def _roles(system: System) -> list[dict[str, Any]]:
    """Return the roles that must be there before a database is: those that are described, and the owners."""
    described = (system.get("recovery") or {}).get("roles") or []
    names = {one["name"] for one in described}
    owners = dict.fromkeys(one["owner"] for one in system["databases"] if one["owner"])
    return [*described, *({"name": owner, "password": None} for owner in owners if owner not in names)]


def recovery_roles(system: System) -> list[dict[str, Any]]:
    """Return the roles of PostgreSQL to make, with their passwords where they are described."""
    return [{"name": one["name"], "password": one.get("password")} for one in _roles(system)]


def _stores(system: System) -> set[str]:
    """Return the services that must run before anything is restored into them."""
    named = {one.get("service") for one in system["databases"]}
    asked = {one["name"] for one in system["services"] if (one.get("health") or {}).get("database")}
    return asked | {name for name in named if name}


def _names(system: System, services: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the public names of the system: on a drill host they mean that host, so that no check asks production."""
    urls = [(one.get("health") or {}).get("url") for one in services] + [one["url"] for one in system["endpoints"]]
    names = [urlsplit(url).hostname for url in urls if url]
    names += [domain for one in system["certificates"] for domain in one["domains"]]
    names += [place.rpartition(":")[0] for one in system["certificates"] for place in one["served_at"] or []]
    fit = [name for name in dict.fromkeys(names) if name and not name.startswith("*")]
    return [name for name in fit if name != "localhost" and ":" not in name and not name.replace(".", "").isdigit()]
