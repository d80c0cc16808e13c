# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the parts of a system's description with each other. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, nearest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_references import (
    AT_FRONT,
    deploy_contradictions,
    front_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._mentions import items, missing, names, strangers
from ansible_collections.runbook.ops.plugins.module_utils._query_plan import MOST_SECONDS
from ansible_collections.runbook.ops.plugins.module_utils._schedule import slug_of

NAMED = (
    *("services", "databases", "redis", "queues", "buckets", "certificates", "endpoints", "dependencies", "ports"),
    *("caches", "logs", "backups", "monitors", "scripts", "schedule", "queries", "secrets", "point_in_time"),
    "checklist",
)
BAD_WHEN_LOW = ("certificate_days", "disk_days")  # of these thresholds, the critical one is the smaller
NEEDS = {"pm2": ("user",), "compose": ("path",), "vercel": ("vercel",)}  # what a manager cannot do without
PORTS = {"postgresql": 5432, "mongodb": 27017}


def contradictions(system: Mapping[str, Any]) -> list[str]:
    """Return what is wrong between the parts of a normalised description, one line each."""
    return [
        *_duplicates(system),
        *_services(system),
        *_indexes(system),
        *_queries(system),
        *_costs(system),
        *deploy_contradictions(system),
        *_cycle(system),
        *missing(system),
        *strangers(system),
        *_thresholds(system["thresholds"] or {}),
    ]


def complete(system: dict[str, Any]) -> dict[str, Any]:
    """Return a valid description with all that follows from it: order, units, the ports in URLs."""
    described = [_completed(service) for service in in_order(system["services"])]
    services = [_paired(service, described) for service in described]
    databases = [{**one, "port": one["port"] or PORTS[one["engine"]]} for one in system["databases"]]
    return {
        **system,
        "services": services,
        "databases": databases,
        "system": {**system["system"], "title": system["system"]["title"] or system["system"]["name"]},
    }


def _completed(service: dict[str, Any]) -> dict[str, Any]:
    """Return ``service`` with what follows from it alone."""
    unit = (service["unit"] or f"{service['name']}.service") if service["manager"] == "systemd" else None
    health = service["health"]
    if health:
        url, standby = health["url"], None
        if url and "{port}" in url:
            standby = url.replace("{port}", str(service["standby_port"])) if service["standby_port"] else None
            url = url.replace("{port}", str(service["port"]))
        health = {**health, "url": url, "standby_url": standby}
    compose = service["manager"] == "compose"
    return {
        **service,
        "unit": unit,
        "watch_units": service["watch_units"] or ([unit] if unit else []),
        "project": (service["project"] or service["path"].rstrip("/").rpartition("/")[2]) if compose else None,
        "compose_service": (service["compose_service"] or service["name"]) if compose else None,
        "replicas": service["replicas"] or (1 if compose else None),
        "health": health,
    }


def _paired(service: dict[str, Any], described: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``service`` with what its front is asked at, and a front with what is behind it."""
    front = front_of(service, described)
    behind = next((one for one in described if front_of(one, described) is service), None)
    return {
        **service,
        "behind": {key: front[key] for key in AT_FRONT} if front else None,
        "front_of": {"name": behind["name"], "port": service["port"] or behind["port"]} if behind else None,
    }


def in_order(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``services`` so that each stands after those it needs, otherwise in the order given."""
    left, done = list(services), []
    while left:
        ready = next(one for one in left if not set(one["after"]) & {other["name"] for other in left})
        left.remove(ready)
        done.append(ready)
    return done


def _duplicates(system: Mapping[str, Any]) -> list[str]:
    found = []
    for part in NAMED:
        first: dict[str, int] = {}
        for index, item in items(system, part):
            name = item["name"]
            if name and name in first:
                found.append(
                    f"{PREFIX}{part}[{index}].name is {name!r}: {PREFIX}{part}[{first[name]}] has this name already"
                )
            first.setdefault(name, index)
    return found


def _services(system: Mapping[str, Any]) -> list[str]:
    found = []
    services, databases = names(system, "services"), names(system, "databases")
    for index, service in items(system, "services"):
        path = f"{PREFIX}services[{index}]"
        for place, other in enumerate(service["after"]):
            if other not in services:
                found.append(
                    f"{path}.after[{place}] is {other!r}: no service has this name; {nearest(str(other), services)}"
                )
        for key in NEEDS.get(service["manager"], ()):
            if not service[key]:
                found.append(f"{path}.{key} is missing ({service['name']}): the manager {service['manager']} needs it")
        fewest, most = service["min_replicas"], service["max_replicas"]
        if most is not None and fewest > most:
            found.append(f"{path}.min_replicas is {fewest}: max_replicas is {most}, and must not be below it")
        for key in ("name", "port"):
            if service[key] and service[key] == service[f"standby_{key}"]:
                found.append(f"{path}.standby_{key} is {service[key]!r}: the service itself has this {key}")
        health = service["health"] or {}
        if health.get("database") and health["database"] not in databases:
            hint = nearest(health["database"], databases)
            found.append(
                f"{path}.health.database is {health['database']!r}: {PREFIX}databases has none of this name; {hint}"
            )
        if "{port}" in (health.get("url") or "") and not service["port"]:
            found.append(f"{path}.health.url is {health['url']!r}: {{port}} stands for {path}.port, which is missing")
    return found


def _indexes(system: Mapping[str, Any]) -> list[str]:
    """An index that is wanted and unwanted would be made and removed by each run."""
    return [
        f"{PREFIX}databases[{index}].unwanted_indexes[{place}] is {name!r}: wanted_indexes of it has this name"
        for index, database in items(system, "databases")
        for place, name in enumerate(database["unwanted_indexes"])
        if name in {one["name"] for one in database["wanted_indexes"]}
    ]


def _queries(system: Mapping[str, Any]) -> list[str]:
    """A parameter would stand in the place of the period that the check names, a long question past the end of its role."""
    found = []
    for index, query in items(system, "queries"):
        path = f"{PREFIX}queries[{index}]"
        found += [
            f"{path}.parameters.{name} is the period's: :{name} stands for it; give the parameter another name"
            for name in ("since", "until")
            if name in query["parameters"]
        ]
        if (query["timeout_seconds"] or 0) > MOST_SECONDS:
            found.append(f"{path}.timeout is more than {MOST_SECONDS} s: its playbook waits no longer; make it faster")
    return found


def _costs(system: Mapping[str, Any]) -> list[str]:
    """An account that shares its name would be asked with the keys of the other, one whose entry there is not never."""
    costs, found = system["costs"] or {}, []
    known = [one["name"] for one in costs.get("accounts") or [] if one]
    for index, name in enumerate(known):
        if name in known[:index]:
            found.append(
                f"{PREFIX}costs.accounts[{index}].name is {name!r}: {PREFIX}costs.accounts[{known.index(name)}] has this name already"
            )
    entry, entries = costs.get("entry"), names(system, "schedule")
    if entry and slug_of(entry) not in map(slug_of, entries):
        found.append(
            f"{PREFIX}costs.entry is {entry!r}: {PREFIX}schedule has none of this name; {nearest(entry, entries)}"
        )
    return found


def _cycle(system: Mapping[str, Any]) -> list[str]:
    """Return one line that names the services which wait for each other."""
    after = {service["name"]: service["after"] for _index, service in items(system, "services")}
    left = set(after)
    while free := {name for name in left if not left & set(after[name])}:
        left -= free
    if not left:
        return []
    trail = [min(left, key=str)]  # each of those left waits for another of them: who walks on comes round
    while trail[-1] not in trail[:-1]:
        trail.append(next(name for name in after[trail[-1]] if name in left))
    circle = " waits for ".join(map(str, trail[trail.index(trail[-1]) :]))
    return [f"{PREFIX}services: {circle}: take one of them out of an after"]


def _thresholds(thresholds: Mapping[str, Any]) -> list[str]:
    found = []
    for name, limits in thresholds.items():
        if limits is None:
            continue
        warning, critical = limits["warning"], limits["critical"]
        if name.endswith("_percent"):
            found += [
                f"{PREFIX}thresholds.{name}.{key} is {value}: a percentage is a number between 0 and 100"
                for key, value in limits.items()
                if value is not None and value > 100
            ]
        if warning is None or critical is None:
            continue
        low = name in BAD_WHEN_LOW
        if (critical > warning) if low else (warning > critical):
            than = "above" if low else "below"
            path = f"{PREFIX}thresholds.{name}.warning"
            found.append(f"{path} is {warning}: critical is {critical}, and must not be {than} it")
    return found
