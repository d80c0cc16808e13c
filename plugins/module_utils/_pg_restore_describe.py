# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore as data. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source, by_hand, parse_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_terms import (
    different_rows,
    estimate,
    left_behind,
    not_compared,
)


def describe(
    source: Source | None,
    *,
    server: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    entry: Mapping[str, Any] | None,
    rows_now: Mapping[str, int],
    database: str,
    where: str,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the plan as data; :func:`lines` makes text of it."""
    told: dict[str, Any] = {
        "target": {
            "database": database,
            "where": where,
            "server_version": server["version"],
            "system_identifier": server["system_identifier"],
            "size_bytes": live["size_bytes"] if live else None,
            "owner": live["owner"] if live else None,
            "sessions": [
                f"{one['user'] or one['type']} ({one['application'] or 'no name'})" for one in live["sessions"]
            ]
            if live
            else [],
            "exists": live is not None,
        },
        "stage": (entry["stage"] if entry and entry["open"] else "none"),
        "kept": [one["name"] for one in entry["kept"]] if entry else [],
        "by_hand": by_hand(entry, server["names"]),
        "source": None,
        "tables": [],
        "estimated_seconds": None,
        "estimated_by": None,
        "not_compared": [],
        "left_behind": left_behind(live),
    }
    if source:
        seconds, by = estimate(source)
        age = (now - parse_time(source.taken_at)).total_seconds() if source.taken_at else None
        told["source"] = {
            "name": source.title,
            "path": source.path,
            "identity": source.identity,
            "kind": source.kind,
            "size_bytes": source.size,
            "taken_at": source.taken_at,
            "age_seconds": round(age) if age is not None else None,
            "database": source.database,
            "restored_size_bytes": (source.content or {}).get("size_bytes"),
            "proven_at": (source.drill or {}).get("at"),
            "accepted_because": reason or None,
            "encryption": source.encryption,
        }
        told["tables"] = list(different_rows((source.content or {}).get("tables") or {}, rows_now))
        told.update(estimated_seconds=seconds, estimated_by=by, not_compared=not_compared(source))
    return told
