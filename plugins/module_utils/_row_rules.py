# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of the databases of a host are kept for how long. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_things import thing
from ansible_collections.runbook.ops.plugins.module_utils._reach import reach_of_database


def plan_rules(system: Mapping[str, Any], tables: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rules for this host's databases, each with how its database is reached.

    :param tables: those that are wanted; all of them without it
    :raises ValueError: there is no rule for a table.
    """
    databases = {one["name"]: one for one in system.get("databases") or []}
    every = (system.get("retention") or {}).get("rows") or []
    rules = [rule for rule in every if rule["database"] in databases]
    known = [rule["table"] for rule in rules]
    for table in tables:
        if table not in known:
            raise ValueError(
                f"ops_retention.rows has no rule for the table {table!r} on this host: known are {', '.join(known) or 'none'}"
            )
    return [_rule(system, databases[rule["database"]], rule) for rule in rules if not tables or rule["table"] in tables]


def _rule(system: Mapping[str, Any], database: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: rule[key] for key in ("database", "table", "column")},
        "older_than": f"{rule['older_than_seconds']:.0f}s",
        "reach": reach_of_database(system, database),
        "secret": thing("database", database) if database.get("password") else None,
    }
