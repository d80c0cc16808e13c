# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Redis server performs: slow commands, hit rate, evictions and pace of a period. Private to this collection.

Only INFO, SLOWLOG GET and TIME are asked: nothing that walks over keys, and never MONITOR.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    Refusal,
    number,
    one_line,
    parse_info,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Performance"
OPTIONS = {
    **SERVER_OPTIONS,
    "hit_percent": Option("limits", "look-ups that found their key; below it", limits(None)),
    "slow_per_day": Option("limits", "commands in the slow log a day", limits(None)),
    "number": Option("int", "how many commands are told of", 5),
    "before": Option("dict", "the counters of an earlier look"),
    "before_at": Option("float", "when that was, in seconds since 1970"),
}
FEWEST_LOOKUPS = 1000  # a share of less says nothing
MOST_ENTRIES = 1024
LEAST_SECONDS = 600.0  # a rate of a shorter period is none
COUNTERS = ("keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys", "total_commands_processed")
COMMAND = re.compile(r"calls=(\d+),usec=(\d+)")
PLAIN = re.compile(r"[A-Za-z][A-Za-z_-]{0,30}:")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return counters now, the entries of the slow log, and since when all of it counts."""
    server = find_server(options)
    commands: list[tuple[str | int, ...]] = [
        ("INFO",),
        ("INFO", "commandstats"),
        ("SLOWLOG", "GET", MOST_ENTRIES),
        ("TIME",),
    ]
    try:
        info_text, stats, slow, now = ask_server(server, commands, options["timeout_seconds"])
    except RedisDownError as exc:
        raise ProbeError(f"{server.place}: {exc}", "see its service and its log") from exc
    if isinstance(info_text, Refusal):
        raise ProbeError(f"{server.place} did not tell: {one_line(info_text.text)}", "allow this account INFO")
    info = parse_info(str(info_text))
    counters = {
        "run": info.get("run_id", ""),
        **{key: number(info, key) or 0 for key in COUNTERS},
        "commands": {} if isinstance(stats, Refusal) else read_commands(parse_info(str(stats))),
    }
    return {
        "counters": counters,
        "uptime": number(info, "uptime_in_seconds") or 0,
        "slow": one_line(slow.text) if isinstance(slow, Refusal) else [read_entry(entry) for entry in slow],
        "now": time.time() if isinstance(now, Refusal) else float(now[0]),
    }


def read_commands(stats: Mapping[str, str]) -> dict[str, list[int]]:
    """Return calls and microseconds by command."""
    found = {key.partition("_")[2].upper(): COMMAND.match(value) for key, value in stats.items()}
    return {key: [int(met[1]), int(met[2])] for key, met in found.items() if met}


def read_entry(entry: list[Any]) -> dict[str, Any]:
    """Return when, for how long, and which command on which kind of key: what follows a key's first colon is the application's data."""
    words = [str(word) for word in entry[3]]
    kind = PLAIN.match(words[1]) if len(words) > 1 else None
    said = " ".join([words[0][:40].upper() if words else "?", *([f"{kind[0]}…"] if kind else [])])
    return {"at": entry[1], "seconds": entry[2] / 1e6, "command": said, "words": len(words)}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return checks of the slow log, the hit rate, evictions, and of the commands with most time."""
    name, section = options["name"] or f"{options['host']}:{options['port']}", options["section"]
    now, old = measured["counters"], options["before"] or {}
    same = bool(old) and old.get("run") == now["run"] and options["before_at"] is not None
    same = same and all(now[key] >= old.get(key, 0) for key in COUNTERS)  # CONFIG RESETSTAT begins them anew
    old = old if same else {}
    seconds = measured["now"] - options["before_at"] if same else float(measured["uptime"])
    since = f"in {ago(seconds)}" if same else f"since its start {human_duration(seconds)} ago"

    def check(kind: str, title: str, **more: Any) -> dict[str, Any]:
        return make_check(f"{kind}:{name}", name=f"{name} {title}", section=section, **more)

    gone = {key: now[key] - old.get(key, 0) for key in COUNTERS}
    per_hour = round(gone["evicted_keys"] * 3600 / max(seconds, LEAST_SECONDS), 2)
    return [
        check("redis_slow", "slow commands", **_slow(measured, options, seconds, since)),
        check("redis_hits", "hit rate of the period", **_hits(gone, options, since)),
        check(
            "redis_evictions",
            "evictions of the period",
            status="ok",
            value=per_hour,
            unit="/h",
            detail=f"{gone['evicted_keys']} keys evicted, {gone['expired_keys']} expired {since}",
        ),
        check("redis_commands", "commands", **_commands(measured, old, options, seconds, since)),
    ]


def _slow(measured: dict[str, Any], options: dict[str, Any], seconds: float, since: str) -> dict[str, Any]:
    if isinstance(measured["slow"], str):
        return {
            "status": "unknown",
            "unit": "/day",
            "detail": measured["slow"],
            "remedy": "allow this account SLOWLOG GET",
        }
    late = [one for one in measured["slow"] if one["at"] >= measured["now"] - seconds]
    kinds: dict[str, list[float]] = {}
    for one in late:
        kinds.setdefault(one["command"], []).append(one["seconds"])
    ranked = sorted(kinds.items(), key=lambda pair: (-max(pair[1]), pair[0]))[: options["number"]]
    listed = "; ".join(f"{command}: {len(times)}, at most {human_duration(max(times))}" for command, times in ranked)
    full = (
        "; the log has no more room, there may have been more" if len(measured["slow"]) in (128, MOST_ENTRIES) else ""
    )
    rate = round(len(late) * 86400 / max(seconds, 86400.0), 2)
    status, limit = judge_high(rate, **options["slow_per_day"])
    return {
        "status": status,
        "value": rate,
        "unit": "/day",
        "limit": limit,
        "detail": f"{len(late) or 'none'} {since}{': ' + listed if listed else ''}{full}",
        "remedy": "KEYS, large ranges and long scripts hold everybody up: see SLOWLOG GET on the server, and who asks so",
    }


def _hits(gone: dict[str, int], options: dict[str, Any], since: str) -> dict[str, Any]:
    hits, total = gone["keyspace_hits"], gone["keyspace_hits"] + gone["keyspace_misses"]
    if total < FEWEST_LOOKUPS:
        return {"status": "ok", "unit": "%", "detail": f"{total} look-ups {since}: too few to judge"}
    percent = round(100 * hits / total, 2)
    status, limit = judge_low(percent, **options["hit_percent"])
    return {
        "status": status,
        "value": percent,
        "unit": "%",
        "limit": limit,
        "detail": f"{hits} of {total} look-ups found their key {since}",
        "remedy": "see whether the cache was emptied, or keys expire too soon",
    }


def _commands(
    measured: dict[str, Any], old: Mapping[str, Any], options: dict[str, Any], seconds: float, since: str
) -> dict[str, Any]:
    before, spent = old.get("commands") or {}, []
    for command, (calls, micros) in measured["counters"]["commands"].items():
        then = before.get(command) or (0, 0)
        if calls > then[0]:
            spent.append((micros - then[1], calls - then[0], command))
    total = sum(one[0] for one in spent)
    ranked = sorted(spent, reverse=True)[: options["number"]]
    listed = "; ".join(
        f"{command} {micros / calls:.0f} µs each, {100 * micros / max(1, total):.0f} % of the time"
        for micros, calls, command in ranked
    )
    count = measured["counters"]["total_commands_processed"] - old.get("total_commands_processed", 0)
    return {
        "status": "ok",
        "value": round(count / max(seconds, 1.0), 2),
        "unit": "/s",
        "detail": f"{count} {since}; most time: {listed or 'not told'}",
    }
