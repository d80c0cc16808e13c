# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PM2 and Docker say of what they run; never its environment. Private to this collection."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, event, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import output_of, read_program
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2DeniedError,
    Pm2NotRunningError,
    Pm2SocketError,
    call,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

INSPECT = (
    '{"name":{{json .Name}},"image":{{json .Config.Image}},"created":{{json .Created}},"restarts":{{json .RestartCount}},'
    '"policy":{{json .HostConfig.RestartPolicy.Name}},"memory":{{json .HostConfig.Memory}},"state":{{json .State}}}'
)
PM2_HEADS = ["id", "name", "status", "restarts", "unstable", "up for", "memory", "cpu %", "node", "version", "pid"]


def pm2(options: dict[str, Any]) -> Found:
    """Collect what an account's PM2 says of each process, metrics of the event loop and heap too."""
    home = os.path.expanduser(f"~{options.get('user') or ''}/.pm2")  # noqa: PTH111  # of another user
    try:
        processes = call(f"{home}/rpc.sock", "getMonitorData", {}, timeout_seconds=5)
    except Pm2NotRunningError:
        raise ProbeError(f"no PM2 runs in {home}") from None
    except (Pm2DeniedError, Pm2SocketError) as exc:
        raise ProbeError(str(exc)) from exc
    now = time.time()
    rows, parts, events, restarts = [], [], [], 0
    for process in processes if isinstance(processes, list) else []:
        kept, monit = process.get("pm2_env") or {}, process.get("monit") or {}
        began = _seconds(kept.get("pm_uptime"))
        restarts += int(kept.get("restart_time") or 0)
        status = kept.get("status")
        rows.append([process.get("pm_id"), process.get("name"), status, kept.get("restart_time"), kept.get("unstable_restarts"),
                     human_duration(round(now - began)) if began and status == "online" else "-", human_size(monit.get("memory") or 0),
                     monit.get("cpu"), kept.get("node_version"), kept.get("version"), process.get("pid")])  # fmt: skip
        if began:
            events.append(
                event(began, "started", f"{process.get('name')} by PM2, restart {kept.get('restart_time') or 0}")
            )
        metrics = kept.get("axm_monitor") or {}
        figures = [
            [name, f"{one.get('value')} {one.get('unit') or ''}"]
            for name, one in metrics.items()
            if isinstance(one, dict)
        ]
        if figures:
            parts.append(f"{process.get('name')} {process.get('pm_id')}\n" + table(["metric", "value"], figures))
    online = sum(row[2] == "online" for row in rows)
    return Found(
        "\n\n".join([table(PM2_HEADS, rows), *parts]),
        note=f"{online} of {len(rows)} processes online, {restarts} restarts",
        events=events,
    )


def _seconds(milliseconds: Any) -> float:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else 0.0


def docker(options: dict[str, Any]) -> Found:
    """Collect containers with state, restarts and use of memory; what they are told in their environment is left out."""
    if options.get("optional") and not any(os.access(f"{place}/docker", os.X_OK) for place in PATH.split(":")):
        return Found("Docker is not installed, and need not be", note="not installed")
    listed = output_of(["docker", "ps", "--all", "--format", "{{.ID}}"], timeout_seconds=6).split()
    if not listed:
        return Found("no container", note="no container")
    found = output_of(["docker", "inspect", "--format", INSPECT, *listed[:100]], timeout_seconds=8)
    rows, events, bad = [], [], []
    for container in (json.loads(line) for line in found.splitlines() if line.startswith("{")):
        row, own_events, is_bad = _container(container)
        rows.append(row)
        events += own_events
        bad += [row[0]] if is_bad else []
    stats = read_program(
        ["docker", "stats", "--no-stream", "--format", "table {{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.PIDs}}"],
        timeout_seconds=8,
    )
    heads = ["name", "state", "health", "exit", "killed", "restarts", "policy", "since", "image"]
    note = (
        f"{len(rows)} containers; not well: {', '.join(sorted(bad)[:6])}" if bad else f"{len(rows)} containers, all up"
    )
    return Found(f"{table(heads, rows)}\n\nUse\n{stats.text}", note=note, events=events)


def _container(container: dict[str, Any]) -> tuple[list[Any], list[dict[str, Any]], bool]:
    state = container["state"]
    name = str(container["name"]).lstrip("/")
    health = (state.get("Health") or {}).get("Status")
    starts, ended, created = (
        _moment(text) for text in (state.get("StartedAt"), state.get("FinishedAt"), container["created"])
    )
    is_bad = state.get("Status") != "running" or health == "unhealthy" or bool(state.get("OOMKilled"))
    row = [name, state.get("Status"), health or "-", state.get("ExitCode"), "memory" if state.get("OOMKilled") else "-",
           container["restarts"], container["policy"], (state.get("StartedAt") or "-")[:19], container["image"]]  # fmt: skip
    events = [event(created, "created", f"container {name} of {container['image']}")] if created else []
    events += [event(starts, "started", f"container {name}, restart {container['restarts']}")] if starts else []
    events += (
        [event(ended, "ended", f"container {name}, exit code {state.get('ExitCode')}")]
        if ended and ended > (starts or 0)
        else []
    )
    return row, events, is_bad


def _moment(text: Any) -> float | None:
    """Return the time that Docker names; its zero, the year 1, is none."""
    return line_time(str(text).encode(), time.time()) if text and not str(text).startswith("0001") else None
