# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of Docker Compose: its containers run, are healthy, and stay. Private to this collection."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, containers, memory_bytes
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Services"
OPTIONS = {
    "project": Option("str", "the Compose project", required=True),
    "service": Option("str", "the service, as the Compose file names it", required=True),
    "replicas": Option("int", "how many containers must run", 1),
    "minimum_uptime_seconds": Option(
        "float", "a container that Docker restarted must have run for so long since", 60.0
    ),
    "bounded_logs": Option("bool", "whether Docker must keep what each container prints up to a size only", False),
    "memory_bytes": Option("limits", "memory of all its containers, cache not counted", limits(None)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the containers of the service, and the memory they use where it is judged."""
    timeout = options["timeout_seconds"]
    try:
        found = containers(project=options["project"], service=options["service"], timeout_seconds=timeout)
        wanted = any(limit is not None for limit in options["memory_bytes"].values())
        used = (
            [memory_bytes(one, timeout_seconds=timeout) for one in found if one.status == "running"] if wanted else []
        )
    except DockerError as exc:
        raise ProbeError(str(exc), "see systemctl status docker") from exc
    return {
        "containers": [{**asdict(one), "uptime_seconds": _age(one.started_at)} for one in found],
        "memory_bytes": sum(each or 0 for each in used) if used else None,
    }


def _age(moment: str) -> float:
    """Return for how many seconds a container has run; Docker tells nanoseconds, which Python 3.9 does not read."""
    from calendar import timegm  # noqa: PLC0415  # only here

    try:
        return max(0.0, time.time() - timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the containers, one of their logs where these are to be bounded, and one of their memory where it is judged."""
    name, section = options["name"] or options["service"], options["section"]
    found, wanted = measured["containers"], options["replicas"]
    running = [one for one in found if one["status"] == "running"]
    status, words = _worst([_judge_one(one, options) for one in found])
    if len(running) < wanted:
        status = "critical"
        words = words or f"{len(running)} of {wanted} run" + ("" if found else ": there is no container")
    elif len(running) > wanted and status == "ok":
        status, words = "warning", f"{len(running)} run, {wanted} are described: scale it, or describe it"
    identity = f"compose:{options['service']}"
    logs = f"docker logs --since 15m {found[0]['name']}" if found else "docker compose ps --all"
    checks = [
        make_check(
            identity,
            name=name,
            section=section,
            status=status,
            value=len(running),
            unit="containers",
            limit=wanted,
            detail=words or _well(running),
            remedy=f"see why: {logs}",
        )
    ]
    if options["bounded_logs"]:
        endless = [one["name"] for one in found if not one["is_log_bounded"]]
        told = (
            f"kept without an end: {', '.join(endless)}, made before Docker knew a limit"
            if endless
            else "kept up to a size"
        )
        checks.append(
            make_check(
                f"{identity}:logs",
                name=f"{name} logs",
                section=section,
                status="warning" if endless else "ok",
                value=len(endless),
                unit="containers",
                limit=0,
                detail=told,
                remedy="playbook log_rotation; restart Docker; then a deploy, or "
                f"docker compose up --detach --no-deps --force-recreate {options['service']}",
            )
        )
    if measured["memory_bytes"] is not None:
        used = measured["memory_bytes"]
        status, limit = judge_high(used, **options["memory_bytes"])
        checks.append(
            make_check(
                f"{identity}:memory",
                name=f"{name} memory",
                section=section,
                status=status,
                value=used,
                unit="bytes",
                limit=limit,
                detail=f"{human_size(used)} in {len(running)} containers",
                remedy="see which: docker stats --no-stream",
            )
        )
    return checks


def _judge_one(one: dict[str, Any], options: dict[str, Any]) -> tuple[str, str]:
    """Return status and words for one container."""
    name, uptime = one["name"], one["uptime_seconds"]
    memory = ", out of memory" if one["out_of_memory"] else ""
    if one["status"] == "restarting":
        return "critical", f"{name} restarts again and again ({one['restarts']} times, exit {one['exit_code']}{memory})"
    if one["status"] != "running":
        return "critical", f"{name} is {one['status']} (exit {one['exit_code']}{memory})"
    if one["health"] == "unhealthy":
        said = f": {one['health_said'][:120]}" if one["health_said"] else ""
        return "critical", f"{name} is unhealthy{said}"
    if one["restarts"] and uptime < options["minimum_uptime_seconds"]:
        return (
            "critical",
            f"{name} was restarted {one['restarts']} times, the last {human_duration(uptime)} ago{memory}",
        )
    if one["health"] == "starting" and uptime >= options["minimum_uptime_seconds"]:
        return "warning", f"{name} has been starting for {human_duration(uptime)}"
    return "ok", ""


def _worst(judged: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the worst status, and all words of it."""
    status = max((status for status, _words in judged), key=STATUSES.index, default="ok")
    return status, "; ".join(words for each, words in judged if each == status and words)


def _well(running: list[dict[str, Any]]) -> str:
    if not running:
        return "none is wanted, and none runs"
    youngest = min(one["uptime_seconds"] for one in running)
    healthy = "healthy, " if all(one["health"] == "healthy" for one in running) else ""
    return f"running, {healthy}up {human_duration(youngest)}"
