# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service has a reason to be restarted or reloaded. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Services"
# Where packages put what is run. What is deleted elsewhere is a program's own business: caches, compiled code, sockets.
PACKAGED = ("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/opt/")
DELETED = " (deleted)"
SHOWN = 3  # names in one reason


@dataclass(frozen=True)
class Findings:
    """What was seen of one service."""

    running: bool
    pids: tuple[int, ...] = ()
    memory_bytes: int = 0
    replaced: tuple[str, ...] = ()  # programs and libraries that it runs and that are not on the disk any more
    outdated: tuple[str, ...] = ()  # those that updates are about to replace
    unreadable: int = 0  # processes that could not be looked into
    unit_changed: bool = False
    pending_settings: tuple[str, ...] = ()
    problem: str | None = None  # why something could not be seen
    loaded_at: float | None = None  # by when it had begun to read its configuration, in seconds since 1970
    config_changed_at: float | None = None
    config_changed: str | None = None  # the file


def run_files(maps: str) -> set[str]:
    """Return the programs and libraries in the text of ``/proc/<pid>/maps``, as the kernel names them."""
    lines = (line.split(None, 5) for line in maps.splitlines())
    return {fields[5] for fields in lines if len(fields) == 6 and "x" in fields[1]}


def replaced_files(files: Iterable[str]) -> set[str]:
    """Return those of :func:`run_files` that packages have put there and that are replaced or removed."""
    gone = (path[: -len(DELETED)] for path in files if path.endswith(DELETED))
    return {path for path in gone if path.startswith(PACKAGED)}


def stale(replaced: Collection[str], outdated: Collection[str]) -> list[str]:
    """Return why what runs these files asks for a restart."""
    told = ((replaced, "replaced on disk since"), (outdated, "which an update replaces"))
    return [f"runs {_some(files)}, {why}" for files, why in told if files]


def parse_units(text: str) -> list[dict[str, str]]:
    """Return the units in the output of ``systemctl show``, each as its properties."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line) for block in blocks]


def decide(
    service: Mapping[str, Any],
    seen: Findings,
    *,
    baseline_bytes: int | None = None,
    growth_percent: float | None = None,
    asked_for: bool = False,
) -> dict[str, Any]:
    """Return what ``service`` needs, ``none``, ``reload`` or ``restart``, and every reason."""
    restart: list[str] = []
    reload: list[str] = []
    by_change = reload if service.get("on_change") == "reload" else restart
    if seen.running:
        restart += stale(seen.replaced, seen.outdated)
        if seen.pending_settings:
            restart.append(f"settings wait for a restart: {_some(seen.pending_settings)}")
        if seen.unit_changed:
            restart.append("its unit file was changed")
        restart += _memory(service, seen, baseline_bytes, growth_percent)
        if _config_is_newer(seen):
            late = f"{seen.config_changed} was changed at {_clock(seen.config_changed_at)}, after it was read"
            by_change.append(late)
        if asked_for and not restart + reload:
            by_change.append("asked for")
    return {
        "name": service["name"],
        "manager": service["manager"],
        "running": seen.running,
        "action": "restart" if restart else "reload" if reload else "none",
        "reasons": restart + reload,
        "detail": f"{service['name']}: {'; '.join(restart + reload) or 'nothing'}",
        "pids": list(seen.pids),
        "memory_bytes": seen.memory_bytes,
    }


def _config_is_newer(seen: Findings) -> bool:
    return seen.config_changed_at is not None and seen.loaded_at is not None and seen.config_changed_at > seen.loaded_at


def _memory(service: Mapping[str, Any], seen: Findings, baseline: int | None, growth: float | None) -> list[str]:
    limit = (service.get("limits") or {}).get("memory_bytes")
    used = human_size(seen.memory_bytes)
    if limit and seen.memory_bytes >= limit:
        return [f"uses {used} of memory, allowed are {human_size(limit)}"]
    if baseline and growth is not None and seen.memory_bytes > baseline * (1 + growth / 100):
        grown = (seen.memory_bytes / baseline - 1) * 100
        return [f"uses {used} of memory, {grown:.0f} % more than {human_size(baseline)}; allowed are {growth:g} %"]
    return []


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - SHOWN
    return ", ".join(ordered[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _clock(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def needed_by(name: str, decisions: Iterable[Mapping[str, Any]], services: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the services that run and say that they need ``name``."""
    running = {decision["name"] for decision in decisions if decision["running"]}
    return [
        service["name"] for service in services if name in (service.get("after") or []) and service["name"] in running
    ]


def check(decision: Mapping[str, Any], seen: Findings) -> dict[str, Any]:
    """Return the check of one service: nothing asks for a restart, and everything could be seen."""
    name, detail, status, remedy = decision["name"], "nothing asks for a restart", "ok", None
    if seen.unreadable:
        status, detail = "unknown", f"{seen.unreadable} of its {len(seen.pids)} processes cannot be looked into"
        remedy = "Run as root; a container needs CAP_SYS_PTRACE"
    if seen.problem:
        status, detail, remedy = "unknown", seen.problem, "Correct what it says, then look again"
    if decision["action"] != "none":
        status, detail = "warning", "; ".join(decision["reasons"])
        remedy = f"Let the weekly maintenance {decision['action']} it, in a quiet hour"
    return make_check(
        f"restart:{name}",
        name=f"{name} is current",
        section=SECTION,
        status=status,
        value={"ok": "yes", "unknown": None}.get(status, f"{decision['action']} due"),
        detail=detail,
        remedy=remedy,
    )


def worker_start(children: Iterable[tuple[str, float]], own_start: float) -> float:
    """Return since when the configuration that is in use is loaded.

    A reload replaces the workers; those it retires finish their requests and say so in their title.

    :param children: title and start of each worker, in seconds since 1970
    """
    serving = [started_at for title, started_at in children if "shutting down" not in title]
    return min(serving, default=own_start)
