# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PostgreSQL databases of a host are looked after, and how each is reached. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_things import thing
from ansible_collections.runbook.ops.plugins.module_utils._reach import reach_of_database


def plan_databases(system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return this host's PostgreSQL databases, each with how it is reached and which indexes it is to have."""
    return [
        {
            "database": database["name"],
            "reach": reach_of_database(system, database),
            "secret": thing("database", database) if database.get("password") else None,
            "indexes": [_index(database, one) for one in database.get("wanted_indexes") or []],
            "unwanted": [
                {"name": name, "schema": database.get("schema") or "public"}
                for name in database.get("unwanted_indexes") or []
            ],
        }
        for database in system.get("databases") or []
        if database["engine"] == "postgresql"
    ]


def _index(database: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": wanted["name"],
        "schema": database.get("schema") or "public",
        "table": wanted["table"],
        "columns": list(wanted["columns"]),
        "unique": bool(wanted.get("unique")),
        "method": wanted.get("method") or "btree",
        "where": wanted.get("where"),
    }
