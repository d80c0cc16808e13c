# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd that must run. Private to this collection."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Services"
OPTIONS = {
    "units": Option("list", "units, globs allowed; all are asked for in one call", []),
    "optional": Option("list", "more units and globs, which need not be installed", []),
    "exited": Option("bool", "whether a unit that did its work and ended (active, exited) is in order", False),
    "restarts": Option("limits", "restarts by systemd since the unit was started by hand", limits(5)),
    "minimum_uptime_seconds": Option("float", "a unit that was restarted must have run for so long since", 60.0),
}
PROPERTIES = "Id,Names,LoadState,ActiveState,SubState,NRestarts,ActiveEnterTimestampMonotonic"
SOUND = {"running", "listening", "waiting", "mounted", "elapsed", "plugged", "active", "reload", "reload-notify"}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``units``: the properties of each unit that a name or glob meets."""
    argv = [
        "systemctl",
        "show",
        "--no-pager",
        f"--property={PROPERTIES}",
        "--",
        *options["units"],
        *options["optional"],
    ]
    if not options["units"] and not options["optional"]:
        raise ProbeError("no unit is named", "name some in units")
    done = run_program(argv, timeout_seconds=options["timeout_seconds"])
    if done.code != 0:
        raise ProbeError(f"systemctl show failed ({done.code}): {last_line(done.err)}")
    return {"units": parse_show(done.out), "now": time.monotonic()}


def parse_show(text: str) -> list[dict[str, Any]]:
    """Return the blocks of ``systemctl show``, one for each unit; ``Names`` is the list of all it goes by."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.split("\n\n")]
    units = {block["Id"]: block for block in blocks if block.get("Id")}
    return [{**block, "Names": (block.get("Names") or name).split()} for name, block in units.items()]


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check for each unit, and one for each glob that no unit meets."""
    checks = []
    for asked in [*options["units"], *options["optional"]]:
        is_glob = any(sign in asked for sign in "*?[")
        full = asked if is_glob or "." in asked else f"{asked}.service"
        met = [unit for unit in measured["units"] if any(fnmatchcase(name, full) for name in unit["Names"])]
        if asked in options["optional"]:
            met = [unit for unit in met if unit["LoadState"] != "not-found"]
        elif not met:
            met = [{"Id": full, "LoadState": "not-found"}]
        for unit in met:
            # Who asks by an alias is answered by it: whoever says what the unit is for knows it by that name only.
            identity = unit["Id"] if is_glob else full
            name = identity[: -len(".service")] if identity.endswith(".service") else identity
            status, detail, remedy = _state(unit, measured["now"], options)
            checks.append(
                make_check(
                    f"systemd:{identity}",
                    name=name,
                    section=options["section"],
                    status=status,
                    value=unit.get("ActiveState", "not found"),
                    limit="active",
                    detail=detail,
                    remedy=remedy,
                )
            )
    return checks


def _state(unit: dict[str, Any], now: float, options: dict[str, Any]) -> tuple[str, str, str]:
    read = f"read systemctl status {unit['Id']} and journalctl -u {unit['Id']}"
    if unit["LoadState"] in ("not-found", "masked"):
        return "critical", "no such unit is loaded" if unit["LoadState"] == "not-found" else "masked", read
    state = f"{unit.get('ActiveState')} ({unit.get('SubState')})"
    if unit.get("ActiveState") not in ("active", "reloading"):
        return "critical", state, read
    if unit.get("SubState") == "exited" and not options["exited"]:
        return (
            "warning",
            f"{state}: no process of its own runs",
            "watch the unit that runs the process, or allow exited",
        )
    if unit.get("SubState") not in SOUND and unit.get("SubState") != "exited":
        return "warning", state, read
    restarts = int(unit.get("NRestarts") or 0)
    uptime = max(0.0, now - int(unit.get("ActiveEnterTimestampMonotonic") or 0) / 1_000_000)
    status, _limit = judge_high(restarts, **options["restarts"])
    if restarts and uptime < options["minimum_uptime_seconds"]:
        status = "critical" if status == "critical" else "warning"
    detail = f"{state}, up {human_duration(uptime)}" + (f", {restarts} restarts" if restarts else "")
    return status, detail, read
