# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd that failed, whoever they belong to. Private to this collection."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils.probes.systemd_unit import parse_show

SECTION = "Services"
OPTIONS = {
    "failed": Option("limits", "number of failed units", limits(1)),
    "except": Option("list", "units and globs that have a check of their own", []),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``failed``: the units, each with all names that it goes by."""
    argv = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"]
    done = run_program(argv, timeout_seconds=options["timeout_seconds"])
    if done.code != 0:
        raise ProbeError(f"systemctl list-units failed ({done.code}): {last_line(done.err)}")
    failed = [line.split()[0] for line in done.out.splitlines() if line.strip()]
    names = {unit["Id"]: unit["Names"] for unit in _shown(failed, options)} if failed and options["except"] else {}
    return {"failed": {unit: names.get(unit) or [unit] for unit in failed}}


def _shown(units: list[str], options: dict[str, Any]) -> list[dict[str, Any]]:
    argv = ["systemctl", "show", "--no-pager", "--property=Id,Names", "--", *units]
    return parse_show(run_program(argv, timeout_seconds=options["timeout_seconds"]).out)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    failed = [
        unit
        for unit, names in measured["failed"].items()
        if not any(fnmatchcase(name, glob) for name in names for glob in options["except"])
    ]
    status, limit = judge_high(len(failed), **options["failed"])
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return [
        make_check(
            "systemd:failed",
            name=options["name"] or "Failed units",
            section=options["section"],
            status=status,
            value=len(failed),
            unit="units",
            limit=limit,
            detail=f"{', '.join(failed[:5])}{more}" if failed else "none",
            remedy="read systemctl status of each; once repaired, systemctl reset-failed forgets it",
        )
    ]
