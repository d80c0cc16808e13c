# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar of this machine: every job ran when it was due, and went well. Private to this collection."""

from __future__ import annotations

import glob
import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils._schedule_run import Places, installed_at, read_results
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import SECTION as CALENDAR
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import judge_entry, service_of
from ansible_collections.runbook.ops.plugins.module_utils._schedule_units import PROPERTIES, result_of

SECTION = CALENDAR
OPTIONS = {
    "configs": Option("list", "configurations of calendars, globs allowed", ["/etc/runbook-ops/schedule-*.json"]),
    "root": Option("str", "directory that what the jobs leave is below", "/"),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return each calendar with what became of its entries.

    :raises ProbeError: there is none, it cannot be read, or systemd does not answer.
    """
    paths = sorted(path for pattern in options["configs"] for path in glob.glob(pattern))  # noqa: PTH207  # patterns are absolute
    if not paths:
        raise ProbeError("no calendar is installed on this machine", "run the playbook schedule")
    found = []
    for path in paths:
        try:
            config = json.loads(Path(path).read_text(encoding="utf-8"))
            results = read_results(Places.of(config["system"], options["root"]))
            since = installed_at(Path(path)).timestamp()
        except (OSError, ValueError, KeyError) as exc:
            raise ProbeError(f"{path}: {exc}", "run the playbook schedule, which writes it anew") from None
        watched = {slug: entry["done_by"] for slug, entry in config["entries"].items() if entry["done_by"]}
        results.update(_watched(watched, options["timeout_seconds"]))
        found.append({"config": config, "results": results, "since": since})
    return {"calendars": found, "now": time.time(), "up_since": _up_since()}


def _up_since() -> float:
    """Return when this machine, or container, was started: since then systemd knows when a timer without a stamp elapsed."""
    try:
        began = int(Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return time.time() - uptime + began / os.sysconf("SC_CLK_TCK")


def _watched(units: dict[str, str], seconds: float) -> dict[str, dict[str, Any]]:
    """Return what became of units that somebody else installed, and of what they start, by the names of the entries."""
    if not units:
        return {}
    names = [name for unit in units.values() for name in (unit, service_of(unit))]
    argv = [
        "systemctl",
        "show",
        "--no-pager",
        "--timestamp=unix",
        f"--property={PROPERTIES}",
        "--",
        *dict.fromkeys(names),
    ]
    done = run_program(argv, timeout_seconds=seconds)
    if done.code != 0:
        raise ProbeError(f"systemctl show failed ({done.code}): {last_line(done.err)}")
    return {slug: result_of(done.out, unit) for slug, unit in units.items()}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check for each entry of each calendar."""
    now = datetime.fromtimestamp(measured["now"], tz=timezone.utc)
    checks = []
    for calendar in measured["calendars"]:
        since = datetime.fromtimestamp(calendar["since"], tz=timezone.utc)
        for slug, entry in calendar["config"]["entries"].items():
            result = calendar["results"].get(slug, {})
            begin = since
            if entry["done_by"] and not result.get("started_at"):
                begin = max(since, datetime.fromtimestamp(measured["up_since"], tz=timezone.utc))
            check = judge_entry(slug, entry, calendar["config"], result, since=begin, now=now)
            checks.append({**check, "section": options["section"]})
    return checks
