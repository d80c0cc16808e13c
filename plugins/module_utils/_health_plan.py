# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes a system's description asks for. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import nearest

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
LIVE = "/etc/letsencrypt/live"  # where certbot puts what nginx serves; a file that does not exist is not compared


def plan_probes(system: System, topics: Iterable[str] | None = None) -> Probes:
    """Return the probes for ``topics``, without them for all, in the order of a morning checklist.

    :param system: the description as the role system returns it
    :raises ValueError: a topic is not known.
    """
    wanted = list(TOPICS) if topics is None else list(topics)
    for topic in wanted:
        if topic not in TOPICS:
            raise ValueError(f"there is no topic {topic!r}{nearest(topic, TOPICS)}; allowed are {', '.join(TOPICS)}")
    return [probe for topic, plan in TOPICS.items() if topic in wanted for probe in plan(system)]


def _threshold(system: System, name: str, option: str) -> dict[str, Any]:
    """Return the probe's option for a threshold, nothing where the description does not know the threshold."""
    limits = (system.get("thresholds") or {}).get(name)
    return {option: {key: limits.get(key) for key in ("warning", "critical")}} if limits is not None else {}


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _host(system: System) -> Probes:
    return [
        {
            "probe": "disk",
            **_threshold(system, "disk_percent", "percent"),
            **_threshold(system, "inodes_percent", "inodes_percent"),
        },
        {"probe": "memory", **_threshold(system, "memory_percent", "percent")},
        {"probe": "swap", **_threshold(system, "swap_percent", "percent")},
        {"probe": "load", **_threshold(system, "load_per_cpu", "per_processor")},
    ]


def _services(system: System) -> Probes:
    services = system.get("services") or []
    units: dict[str, list[str]] = {"units": [], "optional": []}
    for service in services:
        if service["manager"] == "systemd":
            units["optional" if service.get("optional") else "units"] += service["watch_units"]
    probes: Probes = [{"probe": "systemd_unit", **units}] if any(units.values()) else []
    public = {endpoint["url"] for endpoint in system.get("endpoints") or []}
    for service in services:
        if service["manager"] == "pm2":
            limits = service.get("limits") or {}
            bounds = (
                ("memory_bytes", "memory_bytes"),
                ("restarts_per_hour", "restarts_per_hour"),
            )
            judged = {option: {"warning": limits[key]} for option, key in bounds if limits.get(key) is not None}
            probes.append({"probe": "pm2", "app": service["name"], "user": service["user"], **judged})
        health = service.get("health") or {}
        if health.get("url") and health["url"] not in public:
            probes.append({**_http(system, f"{service['name']} health", health), "section": "Services"})
        elif service.get("port") and not health.get("url"):
            probes.append({"probe": "port", "name": f"{service['name']} port", "port": service["port"]})
    return [*probes, {"probe": "systemd_failed"}]


def _http(system: System, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "probe": "http",
        "name": name,
        "url": asked["url"],
        **_given(json=asked.get("json"), status=asked.get("status"), timeout_seconds=asked.get("timeout_seconds")),
        **_threshold(system, "response_seconds", "seconds"),
    }


def _endpoints(system: System) -> Probes:
    return [_http(system, endpoint["name"], endpoint) for endpoint in system.get("endpoints") or []]


def _databases(system: System) -> Probes:
    probes = []
    for database in system.get("databases") or []:
        remote = database.get("host")
        probes.append(
            {
                "probe": "postgresql",
                "name": database["name"],
                "database": database["name"],
                **_given(host=remote, port=database.get("port"), superuser=database.get("superuser")),
                **_given(user=database.get("user") or (database["owner"] if remote else None)),
                # The secret goes another way: health_secrets in the role's defaults knows it by the same name.
                **({"password": database["name"]} if database.get("password") else {}),
            }
        )
    return probes


def _certificates(system: System) -> Probes:
    return [
        {
            "probe": "certificate",
            "name": certificate["name"],
            "served_at": place,
            "domains": certificate["domains"],
            "path": f"{LIVE}/{certificate['name']}/fullchain.pem",
            **_threshold(system, "certificate_days", "days"),
        }
        for certificate in system.get("certificates") or []
        for place in certificate.get("served_at") or []
    ]


def _logs(system: System) -> Probes:
    users = {
        service["name"]: service["user"] for service in system.get("services") or [] if service["manager"] == "pm2"
    }
    return [
        {
            "probe": "log_errors",
            "name": log["name"],
            "patterns": log["errors"],
            **_given(path=log.get("path"), unit=log.get("unit"), pm2=log.get("pm2"), user=users.get(log.get("pm2"))),
        }
        for log in system.get("logs") or []
        if log.get("errors")
    ]


def _backups(system: System) -> Probes:
    probes: Probes = []
    for backup in system.get("backups") or []:
        shared = {"name": backup["name"], "max_age_seconds": backup["max_age_seconds"]}
        files = {"directory": backup["directory"], "pattern": backup["pattern"]}
        probes.append(
            {"probe": "backup_files", **shared, **files, **_given(min_size_bytes=backup.get("min_size_bytes"))}
        )
        if backup.get("log"):
            probes.append({"probe": "backup_log", **shared, **{key: backup["log"][key] for key in ("path", "success")}})
    return probes


def _updates(_system: System) -> Probes:
    return [{"probe": "updates", "timeout_seconds": 30}, {"probe": "reboot"}]


TOPICS: dict[str, Callable[[System], Probes]] = {
    "services": _services,
    "endpoints": _endpoints,
    "databases": _databases,
    "certificates": _certificates,
    "host": _host,
    "logs": _logs,
    "backups": _backups,
    "updates": _updates,
}
