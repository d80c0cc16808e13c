# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a system's description to the logs that are scanned. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COUNTED = ("format", "fields", "errors", "patterns", "top", "p95_ms", "endpoints")
KEYS = (
    *("name", "path", "pm2", "also", "user", "unit", "project", "service", "format", "fields", "errors", "patterns"),
    *("top", "top_number", "examples", "p95_ms", "failed_percent", "endpoints", "cache"),
)


def plan_log_scans(system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the module ``log_scan`` takes, in the order of the description.

    :param system: the description as the role ``system`` returns it
    """
    writers = {service["name"]: service for service in system.get("services") or []}
    failed = (system.get("thresholds") or {}).get("error_rate_percent")
    caches = {cache["log"]: cache for cache in system.get("caches") or [] if cache.get("log")}
    planned = []
    for log in system.get("logs") or []:
        writer = writers.get(log.get("pm2") or log.get("container")) or {}
        what = {key: log[key] for key in COUNTED if log.get(key)}
        planned.append(
            {
                "name": log["name"],
                **_where(log, writer),
                **what,
                **({"failed_percent": failed} if failed else {}),
                **_cache(caches.get(log["name"])),
            }
        )
    return planned


def _cache(cache: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"cache": {"name": cache["name"], "hit_percent": cache.get("hit_percent") or {}}} if cache else {}


def _where(log: Mapping[str, Any], writer: Mapping[str, Any]) -> dict[str, Any]:
    if log.get("pm2"):
        # Of a service with two slots either may have written in the period.
        also = [writer["standby_name"]] if writer.get("standby_name") else []
        return {"pm2": log["pm2"], "also": also, "user": writer.get("user")}
    if log.get("container"):
        return {"project": writer.get("project"), "service": writer.get("compose_service") or log["container"]}
    return {key: log[key] for key in ("path", "unit") if log.get(key)}


def check_log(log: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``log`` without what nobody set.

    :raises ValueError: it has no name, no place or several, or a key that does not exist.
    """
    name = log.get("name")
    strange = sorted({*log} - {*KEYS})
    if not name or strange:
        raise ValueError(f"log {name!r}: {f'it takes no {strange[0]}' if strange else 'it needs a name'}")
    if sum(bool(log.get(way)) for way in ("path", "pm2", "unit", "service")) != 1:
        raise ValueError(f"log {name!r}: it needs one of path, pm2, unit and service")
    return {key: value for key, value in log.items() if value is not None}
