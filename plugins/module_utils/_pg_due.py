# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due of a table of PostgreSQL, and who keeps it from being of any use. Private to this collection.

``database`` is the document of :func:`_pg_sql.observe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Thresholds:
    """From where on something is done. The defaults stand in the module's documentation, with their sources."""

    dead_rows_percent: float = 10
    dead_rows_min: int = 1000
    modified_rows_percent: float = 10
    modified_rows_min: int = 1000
    freeze_percent: float = 80
    index_waste_percent: float = 40
    index_waste_min_bytes: int = 1_000_000
    full_vacuum: bool = False
    full_vacuum_percent: float = 50
    full_vacuum_min_bytes: int = 16_000_000


def percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole > 0 else 0


def dead_share(table: Mapping[str, Any] | None) -> float:
    """Return the part of the index entries that lead to dead rows: updates of the HOT kind made none."""
    if table is None:
        return 0
    return float(table["cold_share"]) * percent(table["dead_rows"], table["live_rows"] + table["dead_rows"]) / 100


def holder(database: Mapping[str, Any], table: Mapping[str, Any]) -> str | None:
    """Return who keeps the dead rows of ``table``: somebody older than its last vacuum, which could not remove them."""
    vacuumed = table["vacuumed_at"]
    for one in database["holders"]:
        # What a standby still reads has no beginning and moves on by itself: nothing says that it is older than the vacuum.
        if vacuumed is not None and one["since"] is not None and one["since"] < vacuumed:
            return str(one["what"])
    return None


def freeze_holder(database: Mapping[str, Any], limits: Thresholds) -> str | None:
    """Return who is so old that no vacuum can bring a freeze age below its limit."""
    for one in database["holders"]:
        if percent(one["xid_age"] or 0, database["freeze_max_age"]) >= limits.freeze_percent:
            return str(one["what"])
    return None


def freeze_reason(table: Mapping[str, Any], database: Mapping[str, Any], limits: Thresholds) -> str | None:
    """Return why ``table`` is to be frozen."""
    for kind in ("xid", "multixact"):
        limit = database["freeze_max_age" if kind == "xid" else "multixact_freeze_max_age"]
        age = percent(table[f"{kind}_age"], limit)
        if age >= limits.freeze_percent:
            setting = "autovacuum_freeze_max_age" if kind == "xid" else "autovacuum_multixact_freeze_max_age"
            return f"freeze age is {age:.0f} % of {setting} (limit {limits.freeze_percent:g} %)"
    return None


def dead_rows_reason(table: Mapping[str, Any], limits: Thresholds) -> str | None:
    """Return why ``table`` is to be vacuumed."""
    for prefix, name in (("", "dead rows"), ("toast_", "dead rows in its TOAST table")):
        dead, live = table[f"{prefix}dead_rows"], table[f"{prefix}live_rows"]
        share = percent(dead, dead + live)
        if dead >= limits.dead_rows_min and share >= limits.dead_rows_percent:
            return f"{dead} {name}, {share:.0f} % (limit {limits.dead_rows_percent:g} %)"
    return None


def analyze_reason(table: Mapping[str, Any], limits: Thresholds) -> str | None:
    """Return why the statistics of ``table`` are to be refreshed."""
    share = percent(table["modified_rows"], table["live_rows"])
    if table["modified_rows"] < limits.modified_rows_min:
        return None
    if not table["analyzed"]:
        return f"{table['modified_rows']} rows written and never analyzed"
    if share >= limits.modified_rows_percent:
        return f"{table['modified_rows']} rows changed since the last analyze, {share:.0f} % (limit {limits.modified_rows_percent:g} %)"
    return None


def decision(
    table: Mapping[str, Any], database: Mapping[str, Any], limits: Thresholds, whole: Mapping[int, str]
) -> tuple[str, str, str | None] | None:
    """Return what to do to ``table``, why, and what keeps it from being of any use; None where nothing is due.

    :param whole: the partitioned tables that are analyzed as a whole, and with them their partitions
    """
    if table["kind"] == "p":  # no rows of its own: only what is known of all of its partitions together
        return ("analyze", whole[table["oid"]], None) if table["oid"] in whole else None
    share = percent(table.get("waste_bytes") or 0, table["bytes"])
    if limits.full_vacuum and share >= limits.full_vacuum_percent and table["bytes"] >= limits.full_vacuum_min_bytes:
        return "vacuum_full", f"{share:.0f} % of the table is waste (limit {limits.full_vacuum_percent:g} %)", None
    freeze, oldest = freeze_reason(table, database, limits), freeze_holder(database, limits)
    if freeze and not (oldest and "multixact" not in freeze):
        return "vacuum", freeze, None
    dead, keeper = dead_rows_reason(table, limits), holder(database, table)
    if dead:
        kept = f"the last vacuum could not remove them, they are kept by {keeper}: end it first" if keeper else None
        return "vacuum", dead, kept
    stale = analyze_reason(table, limits)
    if stale and table["parent"] not in whole:
        return "analyze", stale, None
    return ("vacuum", freeze, f"no vacuum can freeze what {oldest} may still see: end it first") if freeze else None


def whole_tables(database: Mapping[str, Any], limits: Thresholds) -> dict[int, str]:
    """Return the partitioned tables (oid) whose own statistics are due, and why: autovacuum never makes them."""
    found = {}
    for root in database["tables"]:
        if root["kind"] != "p" or root["partition"]:
            continue
        parts = [table for table in database["tables"] if table["parent"] == root["oid"]]
        live, modified = (sum(part[key] for part in parts) for key in ("live_rows", "modified_rows"))
        together = {**root, "live_rows": live, "modified_rows": modified, "analyzed": True}
        reason = analyze_reason(together, limits)
        if not root["analyzed"] and live >= limits.modified_rows_min:
            reason = f"{live} rows in its partitions and never analyzed as a whole"
        if reason:
            found[root["oid"]] = reason
    return found
