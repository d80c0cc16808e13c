# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the evening looks at that the morning does not: rates and the system's own questions. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _health_stores as stores
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._health_things import limits_of
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE

System = Mapping[str, Any]
Probes = list[dict[str, Any]]
PLAYBOOK = "evening_review"
QUERY_SECONDS = 20  # a question to a large table may take its time; it cannot write, and ends


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


def queries(system: System, playbook: str) -> Probes:
    """Return the queries that ``playbook`` asks of databases that the host has."""
    servers = {probe["name"]: probe for probe in stores.databases(system) if probe["probe"] == "postgresql"}
    return [
        {
            "probe": "query",
            "name": query["name"],
            "statement": query["statement"],
            **{key: servers[query["database"]][key] for key in PLACE if key in servers[query["database"]]},
            **({"period_seconds": query["period_seconds"]} if query.get("period_seconds") else {}),
            **({"unit": query["unit"]} if query.get("unit") else {}),
            **({"at_most": query["limits"]} if query.get("limits") else {}),
            "compare": True,
            "timeout_seconds": QUERY_SECONDS,
            "about": f"query:{query['name']}",
            "needs": [f"database:{query['database']}"],
        }
        for query in system.get("queries") or []
        if query.get("playbook") == playbook and query["database"] in servers
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
