# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a service in one shape, whoever manages it, and whether it is as described. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._compose import Container, trouble
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Services"
ACTIVE = ("active", "reloading")


def make_state(
    service: Mapping[str, Any],
    *,
    found: int,
    running: int,
    wanted: int | None = None,
    trouble: str | None = None,
    since: float | None = None,
    restarts: int | None = None,
    version: str | None = None,
    pids: Iterable[int] = (),
) -> dict[str, Any]:
    """Return the state of ``service``.

    :param found: instances that its manager knows
    :param running: those of them that run
    :param wanted: how many there should be; None where nobody says
    :param trouble: what is wrong with what runs, in a few words
    :param since: when the one that was started last was started, in seconds since 1970
    """
    state = "absent" if not found else "stopped" if not running else "running"
    if state == "running" and (trouble or running != max(found, wanted or 0)):
        state = "impaired"
    return {
        "name": service["name"],
        "manager": service["manager"],
        "state": state,
        "running": running,
        "replicas": found,
        "wanted": wanted,
        "trouble": trouble,
        "since": _clock(since) if since is not None and running else None,
        "restarts": restarts,
        "version": version,
        "pids": sorted(pids),
    }


def unknown(service: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return the state of a service whose manager could not be asked."""
    return {**make_state(service, found=0, running=0, trouble=why), "state": "unknown"}


def from_units(service: Mapping[str, Any], units: Iterable[Mapping[str, str]], *, boot: float) -> dict[str, Any]:
    """Return the state of a service of systemd.

    :param units: properties of loaded units, those of other services among them
    :param boot: what the clock of the units' times showed as zero, in seconds since 1970
    """
    watched = service.get("watch_units") or [service.get("unit") or f"{service['name']}.service"]
    mine = [unit for unit in units if unit.get("LoadState") == "loaded" and _is_one_of(unit, watched)]
    alive = [unit for unit in mine if unit.get("ActiveState") in ACTIVE]
    down = [f"{unit['Id']} is {unit.get('ActiveState')}" for unit in mine if unit not in alive]
    started = [int(unit.get("ActiveEnterTimestampMonotonic") or 0) / 1e6 for unit in alive]
    return make_state(
        service,
        found=len(mine),
        running=len(alive),
        wanted=len(mine) or 1,
        trouble=", ".join(down) or None,
        since=boot + max(started) if started else None,
        restarts=sum(int(unit.get("NRestarts") or 0) for unit in mine),
        pids=[int(unit["MainPID"]) for unit in alive if int(unit.get("MainPID") or 0)],
    )


def _is_one_of(unit: Mapping[str, str], patterns: Iterable[str]) -> bool:
    names = {unit.get("Id", ""), *unit.get("Names", "").split()}  # an alias is a name as good as its own
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def from_app(service: Mapping[str, Any], app: App) -> dict[str, Any]:
    """Return the state of a service of PM2."""
    running = app.instances - len(app.down_ids)
    return make_state(
        service,
        found=app.instances,
        running=running,
        wanted=service.get("replicas"),
        trouble=f"PM2 says {app.status}" if app.status not in ("online", "absent", "stopped") else None,
        since=app.started_at_ms / 1000 if app.started_at_ms else None,
        restarts=app.restarts,
        version=app.version,
        pids=app.pids,
    )


def from_containers(service: Mapping[str, Any], containers: Iterable[Container]) -> dict[str, Any]:
    """Return the state of a service of Compose; ``containers`` are those of its project."""
    wanted_name = service.get("compose_service") or service["name"]
    mine = [one for one in containers if one.service == wanted_name]
    alive = [one for one in mine if one.status == "running"]
    # How often one restarted since it was made does not say that it does so now.
    ill = {one.name: trouble(one, restarts_before=one.restarts) for one in mine}
    started = [one.started_at for one in alive if one.started_at is not None]
    return make_state(
        service,
        found=len(mine),
        running=len(alive),
        wanted=service.get("replicas"),
        trouble=", ".join(f"{name} is {what}" for name, what in ill.items() if what) or None,
        since=max(started, default=None),
        restarts=sum(one.restarts for one in mine),
        version=", ".join(sorted({one.image for one in mine})) or None,
        pids=[one.pid for one in alive],
    )


def check(service: Mapping[str, Any], state: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Return the check of one service: it runs, as often as it should, and nothing ails it."""
    running, wanted = state["running"], state["wanted"]
    status = {"running": "ok", "impaired": "warning", "unknown": "unknown"}.get(state["state"], "critical")
    if state["state"] == "absent" and service.get("optional"):
        status = "ok"
    return make_check(
        f"service:{state['name']}",
        name=state["name"],
        section=SECTION,
        status=status,
        value=None if status == "unknown" else running,
        limit=wanted,
        detail=describe(state, now=now),
        remedy="Read its log; start it with the playbook service",
    )


def describe(state: Mapping[str, Any], *, now: float) -> str:
    """Return one line about a state, for people."""
    if state["state"] == "unknown":
        return str(state["trouble"])
    if state["state"] == "absent":
        return f"{state['manager']} does not know it"
    count = f"{state['running']} of {max(state['replicas'], state['wanted'] or 0)} run"
    several = max(state["replicas"], state["wanted"] or 0) > 1 or not state["running"]
    parts = [count if several else "runs"]
    if state["since"]:
        began = datetime.strptime(state["since"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
        parts.append(f"for {human_duration(max(0.0, now - began))}")
    return " ".join(parts) + "".join(f", {part}" for part in (state["version"], state["trouble"]) if part)


def about_to_stop(checks: Iterable[dict[str, Any]], *, needed: str) -> list[dict[str, Any]]:
    """Return a warning of each service that runs and needs ``needed``, which is about to be stopped."""
    return [
        {
            **one,
            "status": "warning",
            "detail": f"needs {needed}, which is to be stopped: {one['detail']}",
            "remedy": f"Stop it as well: service_with_dependants=true; or start {needed} again soon",
        }
        for one in checks
        if one["value"]
    ]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
