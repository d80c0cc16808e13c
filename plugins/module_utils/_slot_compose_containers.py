# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker's inspection of the containers of a slot means. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._compose import read_time
from ansible_collections.runbook.ops.plugins.module_utils._slot import ADOPTED, RELEASE_LABEL, SlotSeen


def seen(containers: Sequence[Mapping[str, Any]], *, port: int, memory_bytes: int = 0) -> SlotSeen:
    """Return what Docker says of the containers of a slot.

    :param containers: as it inspects them
    """
    if not containers:
        return SlotSeen()
    states = [one["State"] for one in containers]
    each = [_status(one, alone=len(containers) == 1) for one in containers]
    status = next((word for word in ("broken", "ill", "starting", "stopped") if word in each), "running")
    if "stopped" in each and len(set(each)) > 1:
        status = "broken"  # some of them run
    releases = {str((one["Config"].get("Labels") or {}).get(RELEASE_LABEL) or ADOPTED) for one in containers}
    started = [moment for moment in (read_time(state.get("StartedAt")) for state in states) if moment]
    restarts = sum(int(one.get("RestartCount") or 0) for one in containers)
    return SlotSeen(
        status=status,
        release=releases.pop() if len(releases) == 1 else None,
        pids=tuple(int(state["Pid"]) for state in states if state.get("Pid")),
        listening=tuple(
            int(one["State"]["Pid"]) for one in containers if one["State"].get("Pid") and port in _ports(one)
        ),
        restarts=restarts,
        started_at=max(started, default=None),
        memory_bytes=memory_bytes,
        trouble=_trouble(containers, restarts) if status in ("broken", "ill") else None,
        exit_code=next(
            (int(state.get("ExitCode") or 0) for state in states if state["Status"] in ("exited", "dead")), None
        ),
    )


def _status(container: Mapping[str, Any], *, alone: bool) -> str:
    word = container["State"]["Status"]
    if word == "running":
        health = _health(container)
        if health == "starting" and not alone:
            return "starting"  # what answers may be another one of them; one that is alone is asked itself, which is sooner
        return "ill" if health == "unhealthy" else "running"
    return {"created": "stopped", "exited": "stopped", "dead": "stopped"}.get(word, "broken")


def _health(container: Mapping[str, Any]) -> str | None:
    return (container["State"].get("Health") or {}).get("Status")


def _trouble(containers: Sequence[Mapping[str, Any]], restarts: int) -> str:
    if any(_health(one) == "unhealthy" for one in containers):
        return "its container's health check says unhealthy"
    out_of_memory = ", out of memory" if any(one["State"].get("OOMKilled") for one in containers) else ""
    words = ", ".join(sorted({one["State"]["Status"] for one in containers}))
    return f"Docker says {words}, restarted {restarts} times{out_of_memory}"


def _ports(container: Mapping[str, Any]) -> set[int]:
    bound = ((container.get("NetworkSettings") or {}).get("Ports") or {}).values()
    return {int(one["HostPort"]) for places in bound for one in places or [] if one.get("HostPort")}


def addresses(containers: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the addresses of the containers in their networks."""
    networks = [((one.get("NetworkSettings") or {}).get("Networks") or {}).values() for one in containers]
    return {network["IPAddress"] for each in networks for network in each if network.get("IPAddress")}


def inner_port(container: Mapping[str, Any]) -> int | None:
    """Return the one port that what runs in a container listens on; None where nobody says."""
    config = container.get("Config") or {}
    variables = dict(str(one).partition("=")[::2] for one in config.get("Env") or [])
    if str(variables.get("PORT") or "").isdigit():
        return int(variables["PORT"])
    exposed = [str(one).partition("/")[0] for one in config.get("ExposedPorts") or {} if str(one).endswith("/tcp")]
    return int(exposed[0]) if len(exposed) == 1 and exposed[0].isdigit() else None
