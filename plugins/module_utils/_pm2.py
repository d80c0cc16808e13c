# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PM2 says about its applications, and what it means. Private to this collection.

PM2's answers hold the whole environment of each application, secrets included: what is used is copied by name, and no
answer is passed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

UP = ("online", "launching")
SECTION = "Services"
RECOVERED_SECONDS = 60  # PM2 goes on counting unstable restarts of an application that has long recovered


class Pm2Error(Exception):
    """PM2 cannot do what is asked; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class App:
    """One PM2 application: all of its instances taken together."""

    name: str
    status: str = "absent"  # absent | online | launching | stopped | errored | mixed, or another word of PM2
    instances: int = 0
    ids: tuple[int, ...] = ()
    down_ids: tuple[int, ...] = ()
    errored_ids: tuple[int, ...] = ()  # PM2 has given these up
    pids: tuple[int, ...] = ()
    restarts: int = 0
    unstable_restarts: int = 0
    started_at_ms: int | None = None  # the instance that started last
    memory_bytes: int = 0
    cpu_percent: float = 0.0
    exec_mode: str | None = None
    version: str | None = None
    node_version: str | None = None
    cwd: str | None = None
    script: str | None = None
    out_log: str | None = None
    error_log: str | None = None
    is_module: bool = False

    def uptime_seconds(self, now: float) -> float | None:
        """Return for how long all instances run, at ``now`` in seconds since 1970; None where one does not."""
        if self.status != "online" or self.started_at_ms is None:
            return None
        return round(max(0.0, now - self.started_at_ms / 1000), 1)


def parse_jlist(text: str) -> list[dict[str, Any]]:
    """Return the processes in the output of ``pm2 jlist``, whatever banner stands before them.

    :raises Pm2Error: there is no list in it.
    """
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("["):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, list):
                return found
    raise Pm2Error("pm2 jlist printed no list of processes: run it by hand as that account")


def group(processes: Iterable[Mapping[str, Any]]) -> dict[str, App]:
    """Return the applications among ``processes``, as ``getMonitorData`` and ``jlist`` give them, by name."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for process in processes:
        by_name.setdefault(str(process.get("name")), []).append(process)
    return {name: _app(name, members) for name, members in sorted(by_name.items())}


def _app(name: str, members: list[Mapping[str, Any]]) -> App:
    members = sorted(members, key=lambda process: process.get("pm_id", 0))
    envs = [process.get("pm2_env") or {} for process in members]
    statuses = {str(env.get("status")) for env in envs}
    first = envs[0]
    started = [env["pm_uptime"] for env in envs if isinstance(env.get("pm_uptime"), (int, float))]
    monits = [process.get("monit") or {} for process in members]
    return App(
        name=name,
        status=statuses.pop() if len(statuses) == 1 else "mixed",
        instances=len(members),
        ids=tuple(int(process["pm_id"]) for process in members),
        down_ids=tuple(
            int(process["pm_id"]) for process, env in zip(members, envs) if str(env.get("status")) not in UP
        ),
        errored_ids=tuple(
            int(process["pm_id"]) for process, env in zip(members, envs) if env.get("status") == "errored"
        ),
        pids=tuple(int(process["pid"]) for process in members if process.get("pid")),
        restarts=sum(int(env.get("restart_time") or 0) for env in envs),
        unstable_restarts=sum(int(env.get("unstable_restarts") or 0) for env in envs),
        started_at_ms=int(max(started)) if started else None,
        memory_bytes=sum(int(monit.get("memory") or 0) for monit in monits),
        cpu_percent=round(sum(float(monit.get("cpu") or 0) for monit in monits), 1),
        exec_mode=_text(first.get("exec_mode"), "_mode"),
        version=None if first.get("version") in (None, "N/A") else _text(first.get("version")),
        node_version=_text(first.get("node_version")),
        cwd=_text(first.get("pm_cwd")),
        script=_text(first.get("pm_exec_path")),
        out_log=_text(first.get("pm_out_log_path")),
        error_log=_text(first.get("pm_err_log_path")),
        is_module=bool(first.get("pmx_module")),
    )


def _text(value: Any, suffix: str = "") -> str | None:
    """Return ``value`` without ``suffix`` if it is a text that is not empty."""
    if not isinstance(value, str) or not value:
        return None
    return value[: -len(suffix)] if suffix and value.endswith(suffix) else value


def as_result(app: App, now: float) -> dict[str, Any]:
    """Return ``app`` as a module returns it; ``now`` in seconds since 1970."""
    values = asdict(app)
    started = values.pop("started_at_ms")
    values.pop("down_ids")
    values.pop("errored_ids")
    at = datetime.fromtimestamp(started / 1000, timezone.utc) if started and app.status == "online" else None
    return {
        **values,
        "ids": list(app.ids),
        "pids": list(app.pids),
        "uptime_seconds": app.uptime_seconds(now),
        "started_at": at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None,
    }


def app_check(app: App, now: float) -> dict[str, Any]:
    """Return the check of one application: all instances online, and none of them in a crash loop."""
    up = app.uptime_seconds(now)
    status, detail = "critical", f"{app.name} is {app.status}"
    if app.restarts:  # between two lives of a crash loop PM2 says stopped, as it does of what was stopped by hand
        detail = f"{detail}, restarts {app.restarts}"
    if app.status == "mixed":
        detail = f"{len(app.down_ids)} of {app.instances} instances do not run"
    if app.status == "online":
        status, detail = "ok", f"instances {app.instances}, up {human_duration(up or 0)}, restarts {app.restarts}"
        if app.unstable_restarts and (up or 0) < RECOVERED_SECONDS:
            status, detail = "critical", f"{detail}; crash loop: {app.unstable_restarts} unstable restarts in a row"
    return make_check(
        f"pm2:{app.name}",
        name=app.name,
        section=SECTION,
        status=status,
        value=app.status,
        limit="online",
        detail=detail,
        remedy=f"Read the end of {app.error_log}, then start it with runbook.ops.pm2",
    )
