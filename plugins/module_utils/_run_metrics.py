# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run found, as node_exporter reads it. Private to this collection."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._figures import escaped

MOST = 500  # series of a run: one with more of them names things one by one, which is no figure
STATUS = {"ok": 0, "unknown": 1, "warning": 2, "critical": 3}


def file_of(system: str, playbook: str) -> str:
    """Return the name of the file of a playbook: several systems may share a host."""
    names = (re.sub(r"[^A-Za-z0-9_-]+", "_", name) for name in (system, playbook))
    return f"runbook_ops_run_{'.'.join(names)}.prom"


def run_metrics(checks: Iterable[Mapping[str, Any]], *, system: str, playbook: str, at: float) -> str:
    """Return value and status of each check that has a number, once for each id.

    :param at: when the run ended, in seconds since 1970
    """
    run = f'system="{escaped(system)}",playbook="{escaped(playbook)}"'
    figures = {check["id"]: check for check in checks if is_number(check.get("value"))}
    chosen = list(figures.values())[:MOST]
    beyond = len(figures) - len(chosen)
    lines = [
        "# HELP runbook_run_value What a check of the last run of a playbook measured, in its unit.",
        "# TYPE runbook_run_value gauge",
        *(
            f'runbook_run_value{{{run},id="{escaped(check["id"])}",unit="{escaped(str(check.get("unit") or ""))}"}}'
            f" {float(check['value'])!r}"
            for check in chosen
        ),
        "# HELP runbook_run_status Its status: 0 ok, 1 unknown, 2 warning, 3 critical.",
        "# TYPE runbook_run_status gauge",
        *(f'runbook_run_status{{{run},id="{escaped(check["id"])}"}} {STATUS[check["status"]]}' for check in chosen),
        "# HELP runbook_run_checks_left_out How many more checks had a number: a run that names things one by one tells of the first.",
        "# TYPE runbook_run_checks_left_out gauge",
        f"runbook_run_checks_left_out{{{run}}} {beyond}",
        "# HELP runbook_run_timestamp_seconds When that run ended.",
        "# TYPE runbook_run_timestamp_seconds gauge",
        f"runbook_run_timestamp_seconds{{{run}}} {at!r}",
    ]
    return "\n".join(lines) + "\n"


def is_number(value: Any) -> bool:
    """Return whether a check measured something that can be drawn."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
