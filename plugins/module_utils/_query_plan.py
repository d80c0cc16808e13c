# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's own questions as probes: which of them a playbook asks, of which databases. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _health_stores as stores
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE

Probes = list[dict[str, Any]]
MOST_SECONDS = 120  # asked for two periods, it ends before the roles that ask stop waiting
QUERY_SECONDS = 20  # a question to a large table may take its time; it cannot write, and ends
REACH_SECONDS = 10  # until psql runs in a container of a busy host
# Option of the probe, and what it is called in the description.
TAKEN = {
    "period_seconds": "period_seconds",
    "full": "full",
    "parameters": "parameters",
    "figure": "figure",
    "unit": "unit",
    "at_most": "limits",
    "at_least": "at_least",
    "changed_percent": "changed_percent",
}


def queries(system: Mapping[str, Any], playbook: str) -> Probes:
    """Return the queries that ``playbook`` asks of databases that the host has."""
    servers = {probe["name"]: probe for probe in stores.databases(system) if probe["probe"] == "postgresql"}
    return [
        {
            "probe": "query",
            "name": query["name"],
            "statement": query["statement"],
            **{key: servers[query["database"]][key] for key in PLACE if key in servers[query["database"]]},
            **{option: query[key] for option, key in TAKEN.items() if query.get(key)},
            "compare": True,
            "statement_seconds": seconds,
            "timeout_seconds": 2 * seconds + REACH_SECONDS,  # it is asked for two periods
            "about": f"query:{query['name']}",
            "needs": [f"database:{query['database']}"],
        }
        for query in system.get("queries") or []
        if query.get("playbook") == playbook and query["database"] in servers
        for seconds in (query.get("timeout_seconds") or QUERY_SECONDS,)
    ]
