# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that PM2 keeps: up, steady, and within its memory. Private to this collection."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, app_check, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2DeniedError,
    Pm2NotRunningError,
    Pm2SocketError,
    call,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Services"
OPTIONS = {
    "app": Option("str", "the application, as PM2 knows it", required=True),
    "user": Option("str", "account whose PM2 keeps it; without it the account that asks"),
    "pm2_home": Option("str", "directory of PM2's daemon; without it .pm2 in the account's home"),
    "instances": Option("int", "how many instances must run; without it any number from one"),
    "memory_bytes": Option("limits", "memory of all instances together, in bytes", limits(None)),
    "cpu_percent": Option(
        "limits", "CPU time of all instances, of one processor, since PM2 was asked last", limits(None)
    ),
    "event_loop_seconds": Option(
        "limits", "delay of the event loop, 95th percentile of the worst instance", limits(None)
    ),
    "restarts_per_hour": Option("limits", "restarts within the last hour, as far as PM2 tells", limits(5)),
    "minimum_uptime_seconds": Option("float", "an application that was restarted must have run so long since", 60.0),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what PM2 says of the application, and None where no daemon runs."""
    home = options["pm2_home"] or os.path.expanduser(f"~{options['user'] or ''}/.pm2")  # noqa: PTH111  # an import less
    try:
        processes = call(f"{home}/rpc.sock", "getMonitorData", {}, timeout_seconds=options["timeout_seconds"])
    except Pm2NotRunningError:
        return {"daemon": False, "home": home}
    except Pm2DeniedError as exc:
        raise ProbeError(f"{exc}: this account may not open PM2's socket", "run it as root or as that account") from exc
    except Pm2SocketError as exc:
        raise ProbeError(str(exc), "run pm2 ping by hand") from exc
    mine = [process for process in processes if str(process.get("name")) == options["app"]]
    created = [(process.get("pm2_env") or {}).get("created_at") for process in mine]
    return {
        "daemon": True,
        "home": home,
        "app": group(mine).get(options["app"], App(options["app"])),
        "now": time.time(),
        "event_loop_ms": [delay for delay in map(event_loop_ms, mine) if delay is not None],
        "created_at_ms": min((stamp for stamp in created if isinstance(stamp, (int, float))), default=None),
    }


def event_loop_ms(process: dict[str, Any]) -> float | None:
    """Return the delay of the event loop that PM2 has of ``process``, None where it has none: of other languages, or just started."""
    told: dict[str, Any] = ((process.get("pm2_env") or {}).get("axm_monitor") or {}).get("Event Loop Latency p95") or {}
    try:
        return float(told["value"])
    except (KeyError, TypeError, ValueError):
        return None


def restarts_last_hour(restarts: int, unstable: int, uptime: float | None, age: float | None) -> tuple[int, int]:
    """Return the least and the most restarts that can lie in the last hour.

    PM2 only counts them since the application was created: an hour of uptime rules any out, a shorter life than an hour
    makes the count exact, and unstable ones follow each other closely.
    """
    if restarts == 0 or (uptime is not None and uptime >= 3600):
        return 0, 0
    if age is not None and age <= 3600:
        return restarts, restarts
    return min(max(unstable, 1), restarts), restarts


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the state, one of the restarts, and one of the memory where it has a limit."""
    name, section = options["name"] or options["app"], options["section"]
    if not measured["daemon"]:
        remedy = f"as the account that owns it: PM2_HOME={measured['home']} pm2 resurrect"
        detail = f"no PM2 daemon runs for {measured['home']}"
        return [
            make_check(
                f"pm2:{options['app']}", name=name, section=section, status="critical", detail=detail, remedy=remedy
            )
        ]
    app, now = measured["app"], measured["now"]
    uptime = app.uptime_seconds(now)
    state = {**app_check(app, now), "name": name, "section": section}
    short = uptime is not None and app.restarts and uptime < options["minimum_uptime_seconds"]
    wanted = options["instances"]
    if state["status"] == "ok" and (short or (wanted is not None and app.instances < wanted)):
        why = f"restarted {human_duration(uptime)} ago" if short else f"{wanted} instances are wanted"
        state = {**state, "status": "warning", "detail": f"{state['detail']}; {why}", "remedy": f"read {app.error_log}"}
    if app.status == "absent":
        return [state]
    born = measured["created_at_ms"]
    least, most = restarts_last_hour(
        app.restarts, app.unstable_restarts, uptime, None if born is None else now - born / 1000
    )
    status, limit = judge_high(least, **options["restarts_per_hour"])
    checks = [
        state,
        make_check(
            f"pm2:{options['app']}:restarts",
            name=f"{name} restarts",
            section=section,
            status=status,
            value=least,
            unit="per hour",
            limit=limit,
            detail=f"{least} in the last hour" if least == most else f"between {least} and {most} in the last hour",
            remedy=f"find what ends it: {app.error_log}",
        ),
    ]
    if any(options["cpu_percent"].values()):
        status, limit = judge_high(app.cpu_percent, **options["cpu_percent"])
        checks.append(
            make_check(
                f"pm2:{options['app']}:cpu",
                name=f"{name} CPU",
                section=section,
                status=status,
                value=app.cpu_percent,
                unit="%",
                limit=limit,
                detail=f"{app.cpu_percent:g} % of one processor",
                remedy="see what it does: pm2 monit, and its slowest requests",
            )
        )
    if any(options["event_loop_seconds"].values()) and measured["event_loop_ms"]:
        delay = round(max(measured["event_loop_ms"]) / 1000, 4)
        status, limit = judge_high(delay, **options["event_loop_seconds"])
        checks.append(
            make_check(
                f"pm2:{options['app']}:event_loop",
                name=f"{name} event loop",
                section=section,
                status=status,
                value=delay,
                unit="s",
                limit=limit,
                detail=f"{1000 * delay:.1f} ms, 95th percentile",
                remedy="something computes for long, or the collector runs often: see its memory, and profile it",
            )
        )
    if any(options["memory_bytes"].values()):
        status, limit = judge_high(app.memory_bytes, **options["memory_bytes"])
        checks.append(
            make_check(
                f"pm2:{options['app']}:memory",
                name=f"{name} memory",
                section=section,
                status=status,
                value=app.memory_bytes,
                unit="B",
                limit=limit,
                detail=f"{human_size(app.memory_bytes)} used" + (f" of {human_size(limit)}" if limit else ""),
                remedy="compare with earlier days: a leak grows steadily; a reload gives it back for now",
            )
        )
    return checks
