# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a performance review looks at, of all that a system's description names. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils import _health_stores as stores
from ansible_collections.runbook.ops.plugins.module_utils._health_services import http
from ansible_collections.runbook.ops.plugins.module_utils._health_things import given, limits_of, thing
from ansible_collections.runbook.ops.plugins.module_utils._live_options import live_of, placed
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import plan_log_scans
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE
from ansible_collections.runbook.ops.plugins.module_utils._query_plan import queries
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
PLAYBOOK = "performance_review"
DATABASE_SECONDS = 30
REQUESTS_SECONDS = 20
TOLD = ("(?P<ms>", "(?P<seconds>", "(?P<cache>")  # durations, and whether a cache had it
TIMED = ("combined", "postgresql", "json")  # formats that may tell durations; so does any log_format of nginx
# MongoDB writes what took longer than slowms (100 ms unless configured), whatever the profiler's level is.
MONGODB_SLOW = {
    "name": "slow operations",
    "expression": r'"msg":"Slow query".*?"ns":"(?P<collection>[^"]*)".*?"durationMillis":(?P<ms>\d+)',
}


def plan_performance(system: System, *, since_seconds: float) -> Probes:
    """Return the probes of a review.

    :param system: the description as the role system returns it
    :param since_seconds: how long the period is
    """
    return [
        *_databases(system),
        *_redis(system),
        *stores.queues(system),
        *_rates(system, since_seconds),
        *_applications(system),
        *_endpoints(system),
        *queries(system, PLAYBOOK),
    ]


def plan_performance_logs(system: System) -> list[dict[str, Any]]:
    """Return the logs that tell how long something took or what a cache had, with the patterns that do."""
    planned = []
    for log in plan_log_scans(system):
        patterns = [one for one in log.get("patterns") or [] if any(group in one["expression"] for group in TOLD)]
        if "mongod" in (log.get("path") or "").rpartition("/")[2]:
            patterns.append(dict(MONGODB_SLOW))
        kind = log.get("format") or "lines"
        timed = kind in TIMED or "$" in kind
        if patterns or timed or log.get("p95_ms") or log.get("endpoints") or log.get("cache"):
            kept = {key: value for key, value in log.items() if key not in ("errors", "patterns")}
            planned.append({**kept, **({"patterns": patterns} if patterns else {})})
    return planned


def _databases(system: System) -> Probes:
    described = {one["name"]: one for one in system.get("databases") or []}
    probes: Probes = []
    for spec in stores.databases(system):
        if spec["probe"] != "postgresql":
            probes.append(spec)
            continue
        database = described[spec["name"]]
        schema = database.get("schema") or "public"
        tables = [table if "." in table else f"{schema}.{table}" for table in database.get("tables") or []]
        probes.append(
            {
                "probe": "pg_performance",
                **{key: spec[key] for key in ("name", "about", *PLACE) if key in spec},
                "tables": [table.removeprefix("public.") for table in tables],  # as the probe calls them
                "timeout_seconds": DATABASE_SECONDS,
                **limits_of(system, slow_seconds="slow_query_seconds", hit_percent="cache_hit_percent"),
            }
        )
    return probes


def _redis(system: System) -> Probes:
    probes: Probes = []
    for spec in stores.redis(system):
        place = {key: spec[key] for key in ("name", "about", *SERVER_OPTIONS) if key in spec}
        hits = limits_of(system, hit_percent="redis_hit_percent")
        probes += [spec, {"probe": "redis_performance", **place, **hits}]
    return probes


def _rates(system: System, since_seconds: float) -> Probes:
    """Return a look at how fast the jobs of queues are done, where the queue itself can be asked."""
    described = {one["name"]: one for one in system.get("queues") or []}
    probes: Probes = []
    for spec in stores.queues(system):
        if spec["probe"] != "queue":
            continue
        place = {key: spec[key] for key in ("name", "queue", "prefix", "about", *SERVER_OPTIONS) if key in spec}
        within = given(within_seconds=described[spec["name"]].get("done_within_seconds"))
        probes.append({"probe": "queue_rate", **place, "since_seconds": since_seconds, **within})
    return probes


def _applications(system: System) -> Probes:
    probes: Probes = []
    for service in system.get("services") or []:
        if service["manager"] != "pm2":
            continue
        live, bounds = live_of(service), service.get("limits") or {}
        keys = ("memory_bytes", "cpu_percent", "event_loop_seconds")
        probes.append(
            {
                "probe": "pm2_metrics",
                "app": "{live.name}" if live else service["name"],
                "name": service["name"],
                "user": service["user"],
                **{key: {"warning": bounds[key]} for key in keys if bounds.get(key) is not None},
                **given(live=live),
                "about": thing("service", service),
            }
        )
    return probes


def _endpoints(system: System) -> Probes:
    probes: Probes = []
    endpoints = system.get("endpoints") or []
    for endpoint in endpoints:
        about = {"about": thing("endpoint", endpoint)}
        if urlsplit(endpoint["url"]).path.endswith("/metrics"):
            failed = limits_of(system, failed_percent="error_rate_percent")
            probes.append(
                {"probe": "metrics_latency", "name": endpoint["name"], "url": endpoint["url"], **failed, **about}
            )
        elif (endpoint.get("method") or "GET") in ("GET", "HEAD"):  # what else is asked may change something
            probes.append({**_latency(system, endpoint["name"], endpoint), **about})
    public = {endpoint["url"] for endpoint in endpoints}
    for service in system.get("services") or []:
        asked, live = service.get("health") or {}, live_of(service)
        if not asked.get("url") or asked["url"] in public:
            continue
        asked = {**asked, "url": placed(service, asked["url"])} if live else asked
        probes.append(
            {**_latency(system, service["name"], asked), **given(live=live), "about": thing("health", service)}
        )
    return probes


def _latency(system: System, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    limits = limits_of(system, p95_seconds="response_seconds")
    return {**http(system, name, asked), "probe": "latency", "timeout_seconds": REQUESTS_SECONDS, **limits}
