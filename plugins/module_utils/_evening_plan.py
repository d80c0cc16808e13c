# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the evening looks at that the morning does not: rates and the system's own questions. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._health_things import limits_of
from ansible_collections.runbook.ops.plugins.module_utils._query_plan import queries

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
PLAYBOOK = "evening_review"


def plan_evening(system: System, *, since_seconds: float, playbook: str = PLAYBOOK) -> Probes:
    """Return the probes of the evening: services and backups as in the morning, error rates, and the system's own queries.

    :param system: the description as the role system returns it
    :param since_seconds: how far back error rates go
    """
    backups = ["backups"] if system.get("backups") else []
    return [
        *queries(system, playbook),
        *plan_probes(system, ["services"]),
        *_rates(system, since_seconds),
        *(plan_probes(system, backups) if backups else []),
    ]


def _rates(system: System, since_seconds: float) -> Probes:
    return [
        {
            "probe": "error_rate",
            "name": f"Error rate {log['name']}",
            "path": log["path"],
            "since_seconds": since_seconds,
            **limits_of(system, percent="error_rate_percent"),
            "about": f"log:{log['name']}",
        }
        for log in system.get("logs") or []
        if log.get("path") and "access" in log["path"].rpartition("/")[2]
    ]
