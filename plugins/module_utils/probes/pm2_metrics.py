# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application tells PM2 of itself: memory, CPU, event loop, requests. Private to this collection.

PM2 calls them Event Loop Latency, Used Heap Size, HTTP P95 Latency and so on; what an application does not tell has no check.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2DeniedError,
    Pm2NotRunningError,
    Pm2SocketError,
    call,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Performance"
OPTIONS = {
    "app": Option("str", "the application, as PM2 knows it", required=True),
    "user": Option("str", "account whose PM2 keeps it; without it the account that asks"),
    "pm2_home": Option("str", "directory of PM2's daemon; without it .pm2 in the account's home"),
    "memory_bytes": Option("limits", "memory of all instances together, in bytes", limits(None)),
    "cpu_percent": Option("limits", "CPU time of all instances, of one processor", limits(None)),
    "event_loop_seconds": Option(
        "limits", "delay of the event loop, 95th percentile of the worst instance", limits(None)
    ),
    "before": Option("dict", "the counters of an earlier look"),
    "before_at": Option("float", "when that was, in seconds since 1970"),
}
# What PM2 calls it, and how it is told: id, title, unit, factor.
METRICS = {
    "Event Loop Latency p95": ("event_loop", "event loop", "s", 0.001),
    "Event Loop Latency": ("event_loop_p50", "event loop, half", "s", 0.001),
    "Heap Usage": ("heap", "heap in use", "% of heap", 1.0),
    "HTTP P95 Latency": ("http_p95", "requests, 95 %", "ms", 1.0),
    "HTTP Mean Latency": ("http_p50", "requests, half", "ms", 1.0),
    "HTTP": ("http_rate", "requests", "/min", 1.0),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return memory, CPU time and what the instances tell of themselves."""
    home = options["pm2_home"] or os.path.expanduser(f"~{options['user'] or ''}/.pm2")  # noqa: PTH111  # an import less
    try:
        processes = call(f"{home}/rpc.sock", "getMonitorData", {}, timeout_seconds=options["timeout_seconds"])
    except Pm2NotRunningError as exc:
        raise ProbeError(f"no PM2 daemon runs for {home}", "as the account that owns it: pm2 resurrect") from exc
    except Pm2DeniedError as exc:
        raise ProbeError(f"{exc}: this account may not open PM2's socket", "run it as root or as that account") from exc
    except Pm2SocketError as exc:
        raise ProbeError(str(exc), "run pm2 ping by hand") from exc
    mine = [one for one in processes if str(one.get("name")) == options["app"] and _status(one) == "online"]
    memory = sum((one.get("monit") or {}).get("memory") or 0 for one in mine)
    begun = [(one.get("pm2_env") or {}).get("pm_uptime") for one in mine]
    started = max((stamp for stamp in begun if isinstance(stamp, (int, float))), default=None)
    return {
        "instances": len(mine),
        "memory_bytes": memory,
        "cpu_percent": sum((one.get("monit") or {}).get("cpu") or 0 for one in mine),
        "told": {
            name: [value for value in (_told(one, name) for one in mine) if value is not None] for name in METRICS
        },
        "now": time.time(),
        "counters": {"memory_bytes": memory, "started_ms": started},
    }


def _status(process: dict[str, Any]) -> str:
    return str((process.get("pm2_env") or {}).get("status"))


def _told(process: dict[str, Any], name: str) -> float | None:
    metric = ((process.get("pm2_env") or {}).get("axm_monitor") or {}).get(name) or {}
    try:
        return float(str(metric["value"]).split()[0])
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of memory, of CPU time, and of each thing that the instances tell."""
    name = options["name"] or options["app"]

    def check(thing: str, title: str, **more: Any) -> dict[str, Any]:
        return make_check(f"pm2:{options['app']}:{thing}", name=f"{name} {title}", section=options["section"], **more)

    if not measured["instances"]:
        return [check("memory", "memory", status="unknown", detail="it does not run", remedy="see its service first")]
    status, limit = judge_high(measured["memory_bytes"], **options["memory_bytes"])
    cpu_status, cpu_limit = judge_high(measured["cpu_percent"], **options["cpu_percent"])
    checks = [
        check(
            "memory",
            "memory",
            status=status,
            value=measured["memory_bytes"],
            unit="B",
            limit=limit,
            detail=f"{human_size(measured['memory_bytes'])} in {measured['instances']} instances{_leak(measured, options)}",
            remedy="compare with earlier weeks: a leak grows steadily; a reload gives it back for now",
        ),
        check(
            "cpu",
            "CPU",
            status=cpu_status,
            value=measured["cpu_percent"],
            unit="%",
            limit=cpu_limit,
            detail=f"{measured['cpu_percent']:g} % of one processor",
            remedy="see its slowest requests, then profile it: node --cpu-prof on a copy",
        ),
    ]
    for metric, (thing, title, unit, factor) in METRICS.items():
        values = measured["told"][metric]
        if not values:
            continue
        value = round(factor * (sum(values) if unit == "/min" else max(values)), 4)
        bound = options["event_loop_seconds"] if thing == "event_loop" else limits(None)
        status, limit = judge_high(value, **bound)
        detail = f"{1000 * value:.3g} ms" if unit == "s" else f"{value:g} {unit}"
        checks.append(
            check(
                thing,
                title,
                status=status,
                value=value,
                unit=unit,
                limit=limit,
                detail=f"{detail}{', the worst of ' + str(len(values)) if len(values) > 1 and unit != '/min' else ''} ({metric})",
                remedy="something computes for long, or the collector runs often: see its memory, and profile it",
            )
        )
    return checks


def _leak(measured: dict[str, Any], options: dict[str, Any]) -> str:
    """Return by how much the memory grew since an earlier look, where none of the instances was started between."""
    before, now = options["before"] or {}, measured["counters"]
    if not before or options["before_at"] is None:
        return ""
    if before.get("started_ms") != now["started_ms"]:
        return "; started anew since the look before"
    grown = now["memory_bytes"] - before["memory_bytes"]
    return f" ({'+' if grown >= 0 else '-'}{human_size(abs(grown))} in {ago(measured['now'] - options['before_at'])}, without a restart)"
