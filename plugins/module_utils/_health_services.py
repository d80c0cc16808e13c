# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes look at the services of a system and at the ports that they listen on. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._health_things import (
    answering,
    container_of,
    given,
    is_contained,
    limits_of,
    thing,
)
from ansible_collections.runbook.ops.plugins.module_utils._live_options import live_of, placed

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
# What Node, Python and others write of an exception that ends in nobody's hands.
EXCEPTIONS = ["uncaught ?exception", "unhandled ?(promise ?)?rejection", "Traceback \\(most recent call last\\)"]
MINUTES = 5  # one burst is no rate


def services(system: System) -> Probes:
    described = system.get("services") or []
    units: dict[str, list[str]] = {"units": [], "optional": []}
    about: dict[str, str] = {}
    for service in described:
        if service["manager"] == "systemd":
            units["optional" if service.get("optional") else "units"] += service["watch_units"]
            about.update(dict.fromkeys(service["watch_units"], thing("service", service)))
    probes: Probes = [{"probe": "systemd_unit", **units, "about": about}] if about else []
    public = {endpoint["url"] for endpoint in system.get("endpoints") or []}
    for service in described:
        live = live_of(service)
        for probe in _service(system, service, public):
            probes.append({"about": thing("service", service), **probe, **({"live": live} if live else {})})
    if any(service["manager"] in ("systemd", "pm2", "compose") for service in described) or not described:
        probes.append({"probe": "systemd_failed", **({"except": list(about)} if about else {}), "about": "host:units"})
    return [*probes, *_ports(system)]


def _service(system: System, service: Mapping[str, Any], public: set[str]) -> Probes:
    """Return what is looked at of one service, beside its unit."""
    probes: Probes = []
    bounds = service.get("limits") or {}
    live = live_of(service)
    name = "{live.name}" if live else service["name"]

    def judged(*keys: str) -> dict[str, Any]:
        return {key: {"warning": bounds[key]} for key in keys if bounds.get(key) is not None}

    if service["manager"] == "pm2":
        watched = judged("memory_bytes", "restarts_per_hour", "event_loop_seconds", "cpu_percent")
        probes.append({"probe": "pm2", "app": name, "user": service["user"], **watched})
        probes[-1].update({"name": service["name"]} if live else {})
        probes[-1].update(given(instances=service.get("replicas")))
        if bounds.get("exceptions_per_minute") is not None:
            probes.append({**_exceptions(service, bounds["exceptions_per_minute"]), "pm2": name})
    if service["manager"] == "compose":
        project = "{live.name}" if live else service["project"]
        unit = "{live.unit}" if live else service["compose_service"]
        place = {"project": project, "service": unit, "replicas": service["replicas"]}
        bounded = {"bounded_logs": True} if (system.get("retention") or {}).get("container_logs") else {}
        probes.append({"probe": "compose", "name": service["name"], **place, **bounded, **judged("memory_bytes")})
    health, about = service.get("health") or {}, {"about": thing("health", service)}
    if health.get("url") and health["url"] not in public:
        asked = {**health, "url": placed(service, health["url"])} if live else health
        probes.append({**http(system, f"{service['name']} health", asked), "section": "Services", **about})
    elif service.get("port") and not health.get("url"):
        port = "{live.port}" if live else service["port"]
        probes.append({"probe": "port", "name": f"{service['name']} port", "port": port, **about})
    return probes


def _exceptions(service: Mapping[str, Any], per_minute: float) -> dict[str, Any]:
    """Return a count of the exceptions that nobody caught, in the last minutes of an application's output."""
    return {
        "probe": "log_errors",
        "name": f"{service['name']} exceptions",
        "section": "Services",
        "pm2": service["name"],
        "user": service["user"],
        "patterns": EXCEPTIONS,
        "since_seconds": 60 * MINUTES,
        "count": {"warning": MINUTES * per_minute},
    }


def _ports(system: System) -> Probes:
    """Return a look at who listens, where the description says who may."""
    if not system.get("ports"):
        return []
    access, monitoring = system.get("access") or {}, system.get("monitoring") or {}
    expected = {access.get("ssh_port") or 22: "SSH"}
    owners: dict[int, str] = {}
    slots: list[int] = []  # of services with two: one of them listens, and their own checks tell which should
    for service in system.get("services") or []:
        if live_of(service) and service.get("standby_port"):
            slots += [service["port"], service["standby_port"]]
        elif service.get("port"):
            expected[service["port"]] = service["name"]
            owners[service["port"]] = thing("service", service)
    stores = [("database", one) for one in system.get("databases") or []]
    for kind, store in [*stores, *(("redis", one) for one in system.get("redis") or [])]:
        here = (store.get("host") or "localhost") in ("localhost", "127.0.0.1") or container_of(system, store)
        if here and not is_contained(system, store):
            expected.setdefault(store["port"], store["name"])
            owners.setdefault(store["port"], thing(kind, store))
    for name in ("prometheus", "alertmanager"):
        address = urlsplit((monitoring.get(name) or {}).get("url") or "")
        if address.hostname in ("localhost", "127.0.0.1") and address.port:
            expected[address.port] = name
            owners.setdefault(address.port, "monitoring")
    inside = {port["port"] for port in system["ports"] if port.get("address") == "loopback"}
    expected.update({port["port"]: port["name"] for port in system["ports"]})
    words = [f"{'127.0.0.1:' if port in inside else ''}{port}={name}" for port, name in sorted(expected.items())]
    return [
        {
            "probe": "listening",
            "expected": words,
            **({"ignore": slots} if slots else {}),
            "about": {str(port): f"port:{port}" for port in expected},
            "needs": {
                f"port:{port}": needed
                for port in sorted(expected)
                if (needed := [owners[port]] if port in owners else answering(system, port))
            },
        }
    ]


def http(system: System, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the probe of a URL that a service, an endpoint or a dependency is asked at."""
    keys = ("method", "status", "json", "contains", "address", "timeout_seconds")
    return {
        "probe": "http",
        "name": name,
        "url": asked["url"],
        **given(**{key: asked.get(key) for key in keys}),
        **limits_of(system, seconds="response_seconds"),
    }
