# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes a system's description asks for. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils import _health_stores as stores
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._health_services import http, services
from ansible_collections.runbook.ops.plugins.module_utils._health_things import (
    ELSEWHERE,
    elsewhere,
    given,
    limits_of,
    needs,
    thing,
)
from ansible_collections.runbook.ops.plugins.module_utils._live_options import live_of
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import nearest

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
LIVE = "/etc/letsencrypt/live"  # where certbot puts what nginx serves; a file that does not exist is not compared


def plan_probes(system: System, topics: Iterable[str] | None = None) -> Probes:
    """Return the probes for ``topics``, without them for all of a daily look, in the order of a checklist.

    :param system: the description as the role system returns it
    :raises ValueError: a topic is not known.
    """
    wanted = list(topics or DAILY)
    for topic in wanted:
        if topic not in TOPICS:
            raise ValueError(f"there is no topic {topic!r}{nearest(topic, TOPICS)}; allowed are {', '.join(TOPICS)}")
    probes = [probe for topic, plan in TOPICS.items() if topic in wanted for probe in plan(system)]
    return _told(probes, needs(system))


def _told(probes: Probes, graph: Mapping[str, list[str]]) -> Probes:
    """Return ``probes``, each with what the things that it tells of need."""
    return [_with_needs(probe, graph) if "about" in probe and "needs" not in probe else probe for probe in probes]


def _with_needs(probe: dict[str, Any], graph: Mapping[str, list[str]]) -> dict[str, Any]:
    about = probe["about"]
    if isinstance(about, str):
        return {**probe, "needs": graph[about]} if graph.get(about) else probe
    return {**probe, "needs": {one: graph[one] for one in about.values() if graph.get(one)}}


def _host(system: System) -> Probes:
    space = limits_of(system, percent="disk_percent", inodes_percent="inodes_percent", days="disk_days")
    idle = limits_of(system, percent="docker_disk_percent")
    compose = any(service["manager"] == "compose" for service in system.get("services") or [])
    return [
        {"probe": "disk", **space, "about": "host:disk"},
        *([{"probe": "docker_disk", "timeout_seconds": 20, **idle, "about": "host:docker"}] if compose else []),
        {"probe": "memory", **limits_of(system, percent="memory_percent"), "about": "host:memory"},
        {"probe": "swap", **limits_of(system, percent="swap_percent"), "about": "host:memory"},
        {"probe": "load", **limits_of(system, per_processor="load_per_cpu"), "about": "host:load"},
        {"probe": "cpu", **limits_of(system, percent="cpu_percent"), "about": "host:load"},
        {"probe": "processes", "about": "host:processes"},
        {
            "probe": "clock",
            **given(url=(system.get("monitoring") or {}).get("clock_url")),
            **limits_of(system, seconds="clock_seconds"),
            "about": "host:clock",
        },
        *_names(system),
    ]


def _names(system: System) -> Probes:
    """Return a look-up of the names that the system depends on, as long as it depends on any."""
    asked = [one.get("url") for part in ("endpoints", "dependencies") for one in system.get(part) or []]
    asked += [bucket.get("endpoint") for bucket in system.get("buckets") or []]
    far = [store["host"] for part in ELSEWHERE for store in elsewhere(system, part)]
    names = dict.fromkeys([*(urlsplit(url).hostname for url in asked if url), *far])
    listed = [name for name in names if name and name != "localhost" and not name.replace(".", "").isdigit()]
    return [{"probe": "dns", "names": listed, "about": "host:dns"}] if listed else []


def _endpoints(system: System) -> Probes:
    return [
        {**http(system, endpoint["name"], endpoint), "about": thing("endpoint", endpoint)}
        for endpoint in system.get("endpoints") or []
    ]


def _dependencies(system: System) -> Probes:
    return [
        {
            **http(system, dependency["name"], dependency),
            "section": "Dependencies",
            "worst": "warning",
            "about": thing("dependency", dependency),
        }
        for dependency in system.get("dependencies") or []
        if dependency.get("url")
    ]


def _certificates(system: System) -> Probes:
    return [
        {
            "probe": "certificate",
            "name": certificate["name"],
            "served_at": place,
            "domains": certificate["domains"],
            "path": certificate.get("path") or f"{LIVE}/{certificate['name']}/fullchain.pem",
            **given(address=certificate.get("address")),
            **limits_of(system, days="certificate_days"),
            "about": thing("certificate", certificate),
        }
        for certificate in system.get("certificates") or []
        for place in certificate.get("served_at") or []
    ]


def _logs(system: System) -> Probes:
    writers = {service["name"]: service for service in system.get("services") or []}
    probes = []
    for log in system.get("logs") or []:
        writer = writers.get(log.get("pm2") or log.get("container")) or {}
        live = live_of(writer) if writer else None
        where = given(path=log.get("path"), unit=log.get("unit"), pm2=log.get("pm2"), live=live)
        if log.get("pm2"):
            where.update(given(user=writer.get("user"), **({"pm2": "{live.name}"} if live else {})))
        if log.get("container"):
            # Docker reads them from their first line, whatever is asked for.
            where.update(
                project="{live.name}" if live else writer.get("project"),
                service="{live.unit}" if live else writer.get("compose_service"),
                timeout_seconds=20,
            )
        if log.get("errors"):
            told = {"name": log["name"], "patterns": log["errors"], **where, "about": thing("log", log)}
            probes.append({"probe": "log_errors", **told})
    return probes


def _backups(system: System) -> Probes:
    probes: Probes = []
    for backup in system.get("backups") or []:
        about = {"about": thing("backup", backup)}
        shared = {"name": backup["name"], "max_age_seconds": backup["max_age_seconds"], **about}
        if backup.get("made_by") == "collection":
            probes += [{**probe, **about} for probe in _sets(system, backup)]
        else:
            files = {"directory": backup["directory"], "pattern": backup["pattern"]}
            limits = given(min_size_bytes=backup.get("min_size_bytes"))
            probes.append({"probe": "backup_files", **shared, **files, **limits})
        if backup.get("log"):
            probes.append({"probe": "backup_log", **shared, **{key: backup["log"][key] for key in ("path", "success")}})
    return probes


def _point_in_time(system: System) -> Probes:
    """Return what looks at the clusters that pgBackRest saves. More than what the system promises must not be lost."""
    promised = (system.get("objectives") or {}).get("rpo_seconds")
    return [
        {
            "probe": "pgbackrest",
            "name": f"point in time of {item['name']}",
            "stanza": item["name"],
            "port": item["port"],
            "max_age_seconds": item["max_age_seconds"],
            **given(max_drill_age_seconds=(item.get("drill") or {}).get("max_age_seconds")),
            **({"lost_seconds": {"warning": min(300.0, promised), "critical": promised}} if promised else {}),
            "timeout_seconds": 20,
            "about": thing("point_in_time", item),
        }
        for item in system.get("point_in_time") or []
    ]


def _sets(system: System, backup: Mapping[str, Any]) -> Probes:
    """Return what looks at the sets that the collection makes for one item: their age, and that they have been proven."""
    probes: Probes = []
    drill = (backup.get("drill") or {}).get("max_age_seconds")
    for task in plan_tasks(system, "backup_rotate", [backup["name"]]):
        if not task["set"]:
            continue  # what a script made before there were sets: it only grows older
        limits = given(min_size_bytes=backup.get("min_size_bytes"))
        where = {"directory": backup["directory"], "set": task["set"], "max_age_seconds": backup["max_age_seconds"]}
        probe = {"name": task["set"], **where, **limits}
        # A script saved all of it together: its files count until the first of each set. After that only what is verified does, and a
        # run verifies what it has made, so that the newest verified one is as young as the newest.
        probe.update(given(pattern=backup.get("pattern")))
        probes.append({"probe": "backup_files", **probe})
        probes.append({"probe": "backup_proof", **probe, **given(max_drill_age_seconds=drill)})
    return probes


def _monitoring(system: System) -> Probes:
    watched = system.get("monitoring") or {}
    prometheus, alertmanager = watched.get("prometheus"), watched.get("alertmanager")
    probes: Probes = []
    if prometheus:
        probes.append({"probe": "prometheus", "url": prometheus["url"], "about": "monitoring"})
    source = alertmanager or prometheus
    if source:
        kind = "alertmanager" if alertmanager else "prometheus"
        expected = {"expect": watched["always_firing"]} if watched.get("always_firing") else {}
        # What fires tells of the system, so it follows from what the other checks found.
        probes.append({"probe": "alerts", "source": kind, "url": source["url"], **expected, "about": "alerts"})
    return probes


def _updates(_system: System) -> Probes:
    return [{"probe": "updates", "timeout_seconds": 30}, {"probe": "reboot"}]


def _own(system: System) -> Probes:
    return [dict(probe) for probe in system.get("probes") or []]


TOPICS: dict[str, Callable[[System], Probes]] = {
    "services": services,
    "endpoints": _endpoints,
    "databases": lambda system: [*stores.databases(system), *stores.reached(system, "databases")],
    "redis": lambda system: [*stores.redis(system), *stores.reached(system, "redis")],
    "queues": stores.queues,
    "storage": stores.buckets,
    "certificates": _certificates,
    "host": _host,
    "logs": _logs,
    "backups": lambda system: [*_backups(system), *_point_in_time(system)],
    "monitoring": _monitoring,
    "dependencies": _dependencies,
    "probes": _own,
    "updates": _updates,
}
DAILY = [topic for topic in TOPICS if topic != "updates"]  # the package manager takes a second or more
