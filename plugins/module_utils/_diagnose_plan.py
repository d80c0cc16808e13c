# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which evidence a system's description asks for. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils import _health_stores as stores
from ansible_collections.runbook.ops.plugins.module_utils._live_options import live_of

# Where a server is, and who asks: as its probe knows it.
PLACE = (
    "database",
    "host",
    "port",
    "user",
    "superuser",
    "password",
    "auth_database",
    "container",
    "project",
    "service",
)
System = Mapping[str, Any]
Specs = list[dict[str, Any]]


def plan_evidence(system: System) -> Specs:
    """Return what to collect on a host, what explains most first.

    :param system: the description as the role system returns it for the host
    """
    specs = [*_host(system), *_services(system), *_databases(system), *_logs(system), *_changes(system)]
    seen: dict[str, int] = {}
    for spec in specs:  # each becomes a file of its own
        topic = re.sub(r"[^a-z0-9]+", "-", spec["topic"].lower()).strip("-")
        seen[topic] = seen.get(topic, 0) + 1
        spec["topic"] = topic if seen[topic] == 1 else f"{topic}-{seen[topic]}"
    return specs


def _spec(topic: str, title: str, collector: str, **options: Any) -> dict[str, Any]:
    given = {key: value for key, value in options.items() if value not in (None, [], "")}
    return {"topic": topic, "title": title, "collector": collector, "options": given}


def _host(system: System) -> Specs:
    ports = sorted({port for url in _urls(system) if (port := _port(url))} | {80, 443})
    names = sorted(
        {host for url in _urls(system) if (host := urlsplit(url).hostname) and not host.startswith("localhost")}
    )
    return [
        _spec("load", "Load and busiest processes", "load"),
        _spec("memory", "Memory", "memory"),
        _spec("disk", "Disks", "disk"),
        _spec("sockets", "Connections: attack or load", "sockets", ports=ports),
        _spec("units", "Units of systemd", "units"),
        _spec("kernel", "Kernel: boots, kills, warnings", "kernel"),
        _spec("network", "Network and names", "network", names=names[:10]),
    ]


def _urls(system: System) -> Iterator[str]:
    yield str((system.get("system") or {}).get("url") or "")
    yield from (endpoint["url"] for endpoint in system.get("endpoints") or [])


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _services(system: System) -> Specs:
    services = system.get("services") or []
    specs = []
    users = list(dict.fromkeys(service.get("user") for service in services if service["manager"] == "pm2"))
    specs += [_spec(f"pm2 {user}", f"PM2 of {user}", "pm2", user=user) for user in users]
    inside = any(service["manager"] == "compose" for service in services)
    if inside or any(service["name"] == "docker" for service in services):
        specs.append(_spec("docker", "Containers", "docker", optional=not inside))
    logged = {
        log.get(kind) for log in system.get("logs") or [] for kind in ("pm2", "unit", "container") if log.get(kind)
    }
    for service in services:
        name = service["name"]
        title = f"Log of {name}"
        if service["manager"] == "systemd" and not {name, service.get("unit")} & logged:
            for unit in service.get("watch_units") or [service.get("unit") or f"{name}.service"]:
                specs.append(_spec(f"log {name}", title, "log", unit=unit))
        elif service["manager"] == "pm2" and name not in logged:
            specs.append(_spec(f"log {name}", title, "log", **_app(service)))
        elif service["manager"] == "compose" and name not in logged:
            specs.append(_spec(f"log {name}", title, "container_log", **_compose(service)))
    return specs


def _app(service: Mapping[str, Any]) -> dict[str, Any]:
    live = live_of(service)
    named = {"pm2": "{live.name}", "live": live} if live else {"pm2": service["name"]}
    return {**named, "user": service.get("user")}


def _compose(service: Mapping[str, Any]) -> dict[str, Any]:
    live = live_of(service)
    if live:
        return {"project": "{live.name}", "service": "{live.unit}", "container": None, "live": live}
    project = service.get("project") or str(service.get("path") or "").rstrip("/").rpartition("/")[2]
    return {
        "project": project,
        "service": service.get("compose_service") or service["name"],
        "container": service.get("container"),
    }


def _databases(system: System) -> Specs:
    specs = []
    asked = set()
    for probe in stores.databases(system):
        place = {key: probe[key] for key in PLACE if key in probe}
        server = (probe["probe"], *(place.get(key) for key in ("host", "port", "project", "service", "container")))
        if server in asked:  # all databases of a server are seen from one
            continue
        asked.add(server)
        title = "PostgreSQL" if probe["probe"] == "postgresql" else "MongoDB"
        specs.append(_spec(f"{probe['probe']} {probe['name']}", f"{title}: {probe['name']}", probe["probe"], **place))
        if probe["probe"] == "postgresql" and not place.keys() & {"host", "service", "container"}:
            specs.append(_spec("log postgresql server", "Log of PostgreSQL", "log", path="/var/log/postgresql/*.log"))
    for probe in stores.redis(system):
        place = {key: probe[key] for key in PLACE if key in probe}
        specs.append(_spec(f"redis {probe['name']}", f"Redis: {probe['name']}", "redis", **place))
    return specs


def _logs(system: System) -> Specs:
    services = {service["name"]: service for service in system.get("services") or []}
    specs = [_spec("log system", "Log of the system: warnings and worse", "log", system=True)]
    for log in system.get("logs") or []:
        topic, title = f"log {log['name']}", f"Log: {log['name']}"
        path = log.get("path")
        if path and "access" in path.rpartition("/")[2]:
            specs.append(_spec(topic, f"Requests: {log['name']}", "access", path=path))
        elif log.get("container"):
            specs.append(
                _spec(
                    topic,
                    title,
                    "container_log",
                    **_compose(services.get(log["container"]) or {"name": log["container"]}),
                )
            )
        else:
            app = (
                _app(services.get(log["pm2"]) or {"name": log["pm2"]})
                if log.get("pm2")
                else {"pm2": None, "user": None}
            )
            specs.append(_spec(topic, title, "log", path=path, unit=log.get("unit"), **app))
    return specs


def _changes(system: System) -> Specs:
    services = [
        {key: service.get(key) for key in ("name", "path", "user", "entry_point", "compose_file")}
        for service in system.get("services") or []
        if service.get("path")
    ]
    items = [*(system.get("services") or []), *(system.get("databases") or [])]
    paths = list(
        dict.fromkeys(path for item in items for path in item.get("config") or [] if not path.startswith("/etc/"))
    )
    return [
        _spec("releases", "Releases", "releases", services=services),
        _spec("packages", "Packages", "packages"),
        _spec("configuration", "Configuration", "configuration", paths=paths),
        _spec("logins", "Logins", "logins"),
        _spec("runs", "Runs of playbooks", "runs"),
        _spec("versions", "Versions", "versions"),
    ]
