# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the things of a system need, so that one fault is told as one. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

System = Mapping[str, Any]
HOST = ("host:disk", "host:memory")  # what nothing on a host can do without
ELSEWHERE = ("databases", "redis")
STORES = {"databases": "database", "redis": "redis", "queues": "queue", "buckets": "bucket"}


def needs(system: System) -> dict[str, list[str]]:
    """Return for each thing, such as ``service:nginx``, those that it needs.

    :param system: the description as the role system returns it
    """
    services = [thing("service", service) for service in _listed(system, "services")]
    graph: dict[str, list[str]] = {}
    for service in _listed(system, "services"):
        graph[thing("service", service)] = [
            *(f"service:{name}" for name in service.get("after") or []),
            *_named(system, service.get("needs") or []),
            *(["service:docker"] if service["manager"] == "compose" else []),
            *HOST,
        ]
    for database in _listed(system, "databases"):
        graph[thing("database", database)] = [*_services_of(system, database), *HOST]
    for server in _listed(system, "redis"):
        graph[thing("redis", server)] = [*_services_of(system, server), *HOST]
    for part in ELSEWHERE:
        graph.update({thing(STORES[part], store): ["host:dns"] for store in elsewhere(system, part)})
    for queue in _listed(system, "queues"):
        kept = [f"redis:{queue['redis']}"] if queue.get("redis") else answering(system, local_port(queue.get("url")))
        graph[thing("queue", queue)] = [*kept, *_services_of(system, queue)]
    for bucket in _listed(system, "buckets"):
        graph[thing("bucket", bucket)] = ["host:clock", "host:dns"]
    for endpoint in _listed(system, "endpoints"):
        named = _named(system, endpoint.get("needs") or [])
        shown = _certificates_of(system, endpoint)
        graph[thing("endpoint", endpoint)] = [*(named or services), *shown, "host:load", "host:dns"]
    for certificate in _listed(system, "certificates"):
        graph[thing("certificate", certificate)] = [*services, "host:clock", "host:dns"]
    for log in _listed(system, "logs"):
        graph[thing("log", log)] = _of_log(system, log) or services
    for backup in _listed(system, "backups"):
        graph[thing("backup", backup)] = [*_named(system, backup.get("databases") or []), *HOST, "host:clock"]
    for dependency in _listed(system, "dependencies"):
        graph[thing("dependency", dependency)] = ["host:dns"]
    graph.update(_of_host(system))
    graph["monitoring"] = [*services, *HOST]
    # What fires tells of the system: it follows from what the other checks found.
    graph["alerts"] = ["monitoring", "host:load", "host:clock", *graph]
    return _with_answers(system, graph)


def _of_host(system: System) -> dict[str, list[str]]:
    """Return what a look at the host itself needs."""
    graph = {}
    if any(service["manager"] == "compose" for service in _listed(system, "services")):
        graph["host:docker"] = ["service:docker"]
    if (system.get("monitoring") or {}).get("clock_url"):
        graph["host:clock"] = ["host:dns"]
    return graph


def _with_answers(system: System, graph: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return ``graph`` with what services answer: it follows from whether they run, and who needs a service needs its answer."""
    answers = {thing("service", one): thing("health", one) for one in _listed(system, "services") if is_asked(one)}
    wider = {
        name: [one for need in needed for one in (need, *([answers[need]] if need in answers else []))]
        for name, needed in graph.items()
    }
    return {**wider, **{answer: [service] for service, answer in answers.items()}}


def is_asked(service: Mapping[str, Any]) -> bool:
    """Return whether a service is asked whether it is well, beside whether it runs."""
    return bool(service.get("port") or (service.get("health") or {}).get("url"))


def local_port(url: str | None) -> int | None:
    """Return the port of this host that ``url`` asks, None where it asks another host."""
    address = urlsplit(url or "")
    if address.hostname not in ("localhost", "127.0.0.1", "::1"):
        return None
    return address.port or {"http": 80, "https": 443}.get(address.scheme)


def answering(system: System, port: int | None) -> list[str]:
    """Return the services that answer at a port of this host, as far as they or the endpoints there say so."""
    found = [thing("service", one) for one in _listed(system, "services") if port and one.get("port") == port]
    for endpoint in _listed(system, "endpoints"):
        if port and local_port(endpoint["url"]) == port:
            found += [one for one in _named(system, endpoint.get("needs") or []) if one.startswith("service:")]
    return list(dict.fromkeys(found))


def _listed(system: System, part: str) -> list[Mapping[str, Any]]:
    return system.get(part) or []


def _named(system: System, names: list[str]) -> list[str]:
    """Return the things that go by ``names``: a database, a Redis server, a queue, a bucket, a dependency or a service."""
    kinds = {**STORES, "dependencies": "dependency", "services": "service"}
    return [
        f"{kind}:{item['name']}"
        for part, kind in kinds.items()
        for item in [*_listed(system, part), *elsewhere(system, part)]
        if item["name"] in names
    ]


def elsewhere(system: System, part: str) -> list[Mapping[str, Any]]:
    """Return what this host reaches over the network and does not have, of databases or Redis servers."""
    return (system.get("elsewhere") or {}).get(part) or []


def _services_of(system: System, item: Mapping[str, Any]) -> list[str]:
    """Return the services that ``item`` runs in: the one that it names, or whose health it is."""
    return [
        thing("service", service)
        for service in _listed(system, "services")
        if service["name"] == item.get("service") or (service.get("health") or {}).get("database") == item["name"]
    ]


def _certificates_of(system: System, endpoint: Mapping[str, Any]) -> list[str]:
    """Return the certificates that an endpoint shows who asks it."""
    url = urlsplit(endpoint["url"])
    return [
        thing("certificate", certificate)
        for certificate in _listed(system, "certificates")
        if url.scheme == "https" and url.hostname in certificate["domains"]
    ]


def _of_log(system: System, log: Mapping[str, Any]) -> list[str]:
    names = {log.get("pm2"), log.get("container")}
    return [
        thing("service", service)
        for service in _listed(system, "services")
        if service["name"] in names or (log.get("unit") and service.get("unit") == log["unit"])
    ]


def thing(kind: str, item: Mapping[str, Any]) -> str:
    """Return what an item is called among the things, such as ``service:nginx``."""
    return f"{kind}:{item['name']}"


def is_contained(system: System, store: Mapping[str, Any]) -> bool:
    """Return whether a database or Redis server runs in a container of Compose."""
    return (container_of(system, store) or {}).get("manager") == "compose"


def container_of(system: System, store: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the service that a database or Redis server runs in, None where none is named."""
    return next((one for one in _listed(system, "services") if one["name"] == store.get("service")), None)


def place_of(system: System, store: Mapping[str, Any]) -> dict[str, Any]:
    """Return the service of Compose that ``store`` runs in."""
    service = container_of(system, store) or {}
    return {"project": service["project"], "service": service["compose_service"]}


def limits_of(system: System, **options: str) -> dict[str, Any]:
    """Return options of a probe with the thresholds that they are named after, without those that nobody described."""
    known = system.get("thresholds") or {}
    return {
        option: {key: known[name].get(key) for key in ("warning", "critical")}
        for option, name in options.items()
        if known.get(name) is not None
    }


def given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value."""
    return {key: value for key, value in options.items() if value is not None}
