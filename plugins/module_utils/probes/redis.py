# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis server: answers, has memory and clients to spare, can write to its disk. Private to this collection."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    Refusal,
    number,
    one_line,
    parse_info,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Databases"
OPTIONS = {
    **SERVER_OPTIONS,
    "seconds": Option("limits", "time until it has answered", limits(1)),
    "memory_percent": Option(
        "limits",
        "used memory, in percent of maxmemory; not judged where any key may be evicted (allkeys-…), for such a cache is always full",
        limits(80, 95),
    ),
    "policy": Option("str", "what maxmemory-policy must be; queues need noeviction"),
    "evictions_per_hour": Option("limits", "keys evicted an hour, on average since the start", limits(None)),
    "hit_percent": Option("limits", "look-ups that found their key, in percent, since the start", limits(None)),
    "slow_commands": Option("limits", "commands in the slow log within slow_since_seconds", limits(10)),
    "slow_since_seconds": Option("float", "how far back the slow log counts", 3600.0),
    "clients_percent": Option("limits", "connected clients, in percent of maxclients", limits(80, 90)),
    "replicas": Option("int", "how many replicas must be connected; without it any number"),
    "lag_seconds": Option("limits", "for a replica: since when it heard nothing from its master", limits(60)),
}
FEWEST_LOOKUPS = 1000  # a share of less says nothing
SLOWEST = 128  # the slow log's own length unless configured


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the server says of itself, or ``error`` where it does not serve."""
    server = find_server(options)
    commands: list[tuple[str | int, ...]] = [("PING",), ("INFO",), ("SLOWLOG", "GET", SLOWEST), ("TIME",)]
    began = time.monotonic()
    try:
        ping, info, slow, now = ask_server(server, commands, options["timeout_seconds"])
    except RedisDownError as exc:
        return {"error": f"{server.place}: {exc}"}
    if isinstance(ping, Refusal):
        return {"error": f"{server.place}: {one_line(ping.text)}"}
    if isinstance(info, Refusal):
        raise ProbeError(f"{server.place} did not tell: {one_line(info.text)}", "allow this account INFO")
    return {
        "error": None,
        "seconds": round(time.monotonic() - began, 4),
        "info": parse_info(str(info)),
        "slow": one_line(slow.text) if isinstance(slow, Refusal) else [slow_entry(entry) for entry in slow],
        "now": time.time() if isinstance(now, Refusal) else float(now[0]),
    }


def slow_entry(entry: list[Any]) -> dict[str, Any]:
    """Return when, for how long and which command; never its arguments, which are the application's data."""
    return {"at": entry[1], "seconds": entry[2] / 1e6, "command": str(entry[3][0])[:40].upper() if entry[3] else "?"}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the server, and one for each thing it may run out of."""
    name = options["name"] or f"{options['container'] or options['service'] or options['host']}:{options['port']}"
    about = _About(name, options["section"])
    if measured["error"]:
        remedy = "see its service and its log: it may be stopped, loading its data, or out of clients"
        return [about.check("", "", "critical", detail=measured["error"], remedy=remedy)]
    info = measured["info"]
    checks = [
        _reachable(about, measured["seconds"], info, options),
        _memory(about, info, options),
        _evictions(about, info, options),
        _hits(about, info, options),
        _slow(about, measured, options),
        _persistence(about, info),
        _clients(about, info, options),
        _replication(about, info, options),
    ]
    return [check for check in checks if check is not None]


class _About:
    """Which server the checks are about."""

    def __init__(self, name: str, section: str) -> None:
        self.name, self.section = name, section

    def check(self, thing: str, title: str, status: str, **more: Any) -> dict[str, Any]:
        identity = f"redis:{self.name}:{thing}" if thing else f"redis:{self.name}"
        return make_check(identity, name=f"{self.name} {title}".strip(), section=self.section, status=status, **more)


def _reachable(about: _About, seconds: float, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    status, limit = judge_high(seconds, **options["seconds"])
    up = human_duration(number(info, "uptime_in_seconds") or 0)
    detail = (
        f"Redis {info.get('redis_version', '?')}, {info.get('role', '?')}, up {up}, answered in {seconds * 1000:.0f} ms"
    )
    remedy = "see what keeps it: redis-cli --latency, and SLOWLOG GET"
    return about.check("", "", status, value=seconds, unit="s", limit=limit, detail=detail, remedy=remedy)


def _memory(about: _About, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    used, most = number(info, "used_memory") or 0, number(info, "maxmemory") or 0
    policy = info.get("maxmemory_policy", "noeviction")
    wrong = options["policy"] and policy != options["policy"]
    said = f"; maxmemory-policy is {policy}, not {options['policy']}" if wrong else ""
    if not most:
        detail = f"{human_size(used, binary=True)} in use, no maxmemory is set{said}"
        remedy = "set maxmemory-policy in redis.conf"
        status = "warning" if wrong else "ok"
        return about.check("memory", "memory", status, value=used, unit="bytes", detail=detail, remedy=remedy)
    percent = round(100 * used / most, 1)
    status, limit = ("ok", None) if policy.startswith("allkeys-") else judge_high(percent, **options["memory_percent"])
    return about.check(
        "memory",
        "memory",
        "warning" if wrong and status == "ok" else status,
        value=percent,
        unit="%",
        limit=limit,
        detail=f"{human_size(used, binary=True)} of {human_size(most, binary=True)} in use, {policy}{said}",
        remedy="find what grows: redis-cli --bigkeys; when it is full, writes are refused; never FLUSHALL where queues or sessions are kept",
    )


def _evictions(about: _About, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    evicted, uptime = number(info, "evicted_keys") or 0, number(info, "uptime_in_seconds") or 0
    rate = round(evicted / max(1.0, uptime / 3600), 1)
    status, limit = judge_high(rate, **options["evictions_per_hour"])
    return about.check(
        "evictions",
        "evictions",
        status,
        value=rate,
        unit="/h",
        limit=limit,
        detail=f"{evicted} keys evicted since the start {human_duration(uptime)} ago",
        remedy="raise maxmemory, or keep less: what is evicted is gone",
    )


def _hits(about: _About, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    hits, misses = number(info, "keyspace_hits") or 0, number(info, "keyspace_misses") or 0
    if hits + misses < FEWEST_LOOKUPS:
        detail = f"{hits + misses} look-ups since the start: too few to judge"
        return about.check("hits", "hit rate", "ok", unit="%", detail=detail)
    percent = round(100 * hits / (hits + misses), 1)
    status, limit = judge_low(percent, **options["hit_percent"])
    detail = f"{hits} of {hits + misses} look-ups found their key"
    remedy = "see whether the cache was emptied, or keys expire too soon"
    return about.check("hits", "hit rate", status, value=percent, unit="%", limit=limit, detail=detail, remedy=remedy)


def _slow(about: _About, measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    if isinstance(measured["slow"], str):
        remedy = "allow this account SLOWLOG GET"
        return about.check("slowlog", "slow log", "unknown", detail=measured["slow"], remedy=remedy)
    since = measured["now"] - options["slow_since_seconds"]
    late = [entry for entry in measured["slow"] if entry["at"] >= since]
    status, limit = judge_high(len(late), **options["slow_commands"])
    window = human_duration(options["slow_since_seconds"])
    detail = f"none within {window}"
    if late:
        worst = max(late, key=lambda entry: entry["seconds"])
        more = " or more" if len(late) == SLOWEST else ""
        detail = f"{len(late)}{more} within {window}, the slowest is {worst['command']} with {human_duration(worst['seconds'])}"
    remedy = "see them: redis-cli SLOWLOG GET 10; KEYS and large ranges block everybody"
    return about.check(
        "slowlog", "slow log", status, value=len(late), unit="commands", limit=limit, detail=detail, remedy=remedy
    )


def _persistence(about: _About, info: dict[str, str]) -> dict[str, Any]:
    states = {
        "snapshot": info.get("rdb_last_bgsave_status", "ok"),
        "append-only file": info.get("aof_last_write_status", "ok"),
        "rewrite of it": info.get("aof_last_bgrewrite_status", "ok"),
    }
    failed = [what for what, state in states.items() if state != "ok"]
    kept = "append-only file" if info.get("aof_enabled") == "1" else "snapshots"
    detail = f"{kept}, {info.get('rdb_changes_since_last_save', '?')} changes since the last snapshot"
    if failed:
        detail = f"the last {' and the '.join(failed)} could not be written"
    remedy = "see space and owner of its directory and its log: after a failed snapshot Redis refuses writes"
    return about.check("persistence", "persistence", "critical" if failed else "ok", detail=detail, remedy=remedy)


def _clients(about: _About, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    clients, most = number(info, "connected_clients") or 0, number(info, "maxclients")
    rejected = number(info, "rejected_connections") or 0
    refused = f", {rejected} refused since the start" if rejected else ""
    if not most:
        return about.check("clients", "clients", "ok", value=clients, unit="clients", detail=f"{clients}{refused}")
    percent = round(100 * clients / most, 1)
    status, limit = judge_high(percent, **options["clients_percent"])
    detail = f"{clients} of {most}{refused}"
    remedy = "see who they are: redis-cli CLIENT LIST"
    return about.check("clients", "clients", status, value=percent, unit="%", limit=limit, detail=detail, remedy=remedy)


def _replication(about: _About, info: dict[str, str], options: dict[str, Any]) -> dict[str, Any] | None:
    remedy = "see both sides: redis-cli INFO replication, and the replica's log"
    if info.get("role") == "slave":
        lag: int | None = max(0, number(info, "master_last_io_seconds_ago") or 0)  # -1 while the link is down
        status, limit = judge_high(lag or 0, **options["lag_seconds"])
        detail = f"last heard of its master {human_duration(lag or 0)} ago"
        if info.get("master_link_status") != "up":
            since = number(info, "master_link_down_since_seconds")
            ago = f" since {human_duration(since)}" if since is not None and since >= 0 else ""
            status, lag, detail = "critical", None, f"the link to its master is down{ago}"
        return about.check(
            "replication", "replication", status, value=lag, unit="s", limit=limit, detail=detail, remedy=remedy
        )
    count, wanted = number(info, "connected_slaves") or 0, options["replicas"]
    if wanted is None and not count:
        return None
    status = "critical" if wanted is not None and count < wanted else "ok"
    of = "" if wanted is None else f" of {wanted}"
    return about.check(
        "replication",
        "replication",
        status,
        value=count,
        unit="replicas",
        limit=wanted,
        detail=f"{count}{of} replicas are connected",
        remedy=remedy,
    )
