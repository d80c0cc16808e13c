# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database needs, decided from what was observed. Private to this collection.

``database`` is the document of :func:`_pg_sql.observe`; ``measures`` are pgstatindex's figures by the index's oid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._pg_bloat import measured_waste, smallest_bytes
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import (
    Thresholds,
    dead_share,
    decision,
    percent,
    whole_tables,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

ORDER = ("drop_index", "vacuum_full", "vacuum", "analyze", "reindex")
LEFTOVER = re.compile(r"_cc(?:new|old)\d*$")
# An index is measured where the estimate says that it may have this part of the waste that is allowed.
SCREENING = 0.7


@dataclass(frozen=True)
class Action:
    """One thing to do to one relation, and what became of it."""

    action: str  # one of ORDER
    database: str
    relation: str
    reason: str
    bytes_before: int
    oid: int
    waste_bytes: int | None = None
    measured: bool | None = None
    status: str = "planned"  # planned | done | skipped | failed
    bytes_after: int | None = None
    seconds: float | None = None
    message: str | None = None
    code: str = ""  # the server's code for what went wrong
    tablespace: int = 0

    @property
    def sql(self) -> str:
        return {
            "drop_index": f"DROP INDEX CONCURRENTLY IF EXISTS {self.relation}",
            "vacuum_full": f"VACUUM (FULL, ANALYZE) {self.relation}",
            "vacuum": f"VACUUM (ANALYZE{', FREEZE' if 'freeze' in self.reason else ''}) {self.relation}",
            "analyze": f"ANALYZE {self.relation}",
            "reindex": f"REINDEX INDEX CONCURRENTLY {self.relation}",
        }[self.action]


def candidates(database: Mapping[str, Any], limits: Thresholds) -> list[int]:
    """Return the indexes (oid) that are worth measuring: the estimate errs on the side of measuring."""
    tables = {table["oid"]: table for table in database["tables"]}

    def suspicious(index: Mapping[str, Any]) -> bool:
        waste = estimated_waste(index, tables.get(index["table"]), database)
        return waste is None or waste >= SCREENING * limits.index_waste_percent

    return [
        index["oid"]
        for index in database["indexes"]
        if rebuildable(index) and index["bytes"] >= limits.index_waste_min_bytes and suspicious(index)
    ]


def rebuildable(index: Mapping[str, Any]) -> bool:
    """Return whether ``index`` can be measured and rebuilt beside its users."""
    in_toast = index["relation"].startswith("pg_toast.")  # a rebuild that breaks off there could not be cleaned up
    return bool(index["valid"] and index["method"] == "btree" and not index["exclusion"] and not in_toast)


def estimated_waste(
    index: Mapping[str, Any], table: Mapping[str, Any] | None, database: Mapping[str, Any]
) -> float | None:
    """Return the estimated waste in percent, None where there are no statistics, or none that the role may see."""
    live = {**index, "rows": index["rows"] * (1 - dead_share(table))}
    smallest = smallest_bytes(live, database["block_size"])
    return None if smallest is None else percent(index["bytes"] - smallest, index["bytes"])


def plan(
    name: str, database: Mapping[str, Any], measures: Mapping[int, Mapping[str, Any]] | None, limits: Thresholds
) -> list[Action]:
    """Return what to do in the database ``name``, in order.

    :param measures: None where nothing can be measured: then the estimate decides, with a stricter limit
    """
    actions = [*index_repairs(name, database), *table_actions(name, database, limits)]
    actions += index_rebuilds(name, database, measures, limits, {action.oid: action.action for action in actions})
    return sorted(actions, key=lambda action: (ORDER.index(action.action), -action.bytes_before, action.relation))


def index_repairs(name: str, database: Mapping[str, Any]) -> Iterator[Action]:
    """Yield what to do about invalid indexes: leftovers of a broken rebuild go, others are rebuilt."""
    originals = {one["definition"] for one in database["indexes"] if one["valid"] or not LEFTOVER.search(one["name"])}
    for index in database["indexes"]:
        if index["valid"] or index["builder"] is not None:
            continue
        leftover = bool(LEFTOVER.search(index["name"])) and index["definition"] in originals
        reason = (
            "left by a rebuild that was interrupted" if leftover else "invalid: it costs writes and serves no query"
        )
        wanted = Action(
            "drop_index" if leftover else "reindex",
            name,
            index["relation"],
            reason,
            index["bytes"],
            index["oid"],
            waste_bytes=index["bytes"] if leftover else None,
            tablespace=index["tablespace"],
        )
        yield unless(wanted, obstacle(index, drop=leftover))


def obstacle(index: Mapping[str, Any], *, drop: bool) -> str | None:
    """Return what keeps an index from being repaired."""
    if not index["may_drop" if drop else "may_reindex"]:
        return "the role owns neither it nor its table: run as the owner or a superuser"
    if index["exclusion"] and not drop:
        return "it belongs to an exclusion constraint, which cannot be rebuilt beside its users: plan a REINDEX in a window"
    return None


def unless(action: Action, message: str | None) -> Action:
    return action if message is None else replace(action, status="skipped", message=message)


def table_actions(name: str, database: Mapping[str, Any], limits: Thresholds) -> Iterator[Action]:
    """Yield the vacuums and analyzes that are due."""
    whole = whole_tables(database, limits)
    for table in database["tables"]:
        found = decision(table, database, limits, whole)
        if found is None:
            continue
        verb, reason, obstacle_found = found
        wanted = Action(
            verb,
            name,
            table["relation"],
            reason,
            table["bytes"],
            table["oid"],
            waste_bytes=table.get("waste_bytes"),
            tablespace=table["tablespace"],
        )
        if not table["may_vacuum"]:
            obstacle_found = "the role owns neither the table nor the database: run as the owner or a superuser"
        yield unless(wanted, obstacle_found)


def index_rebuilds(
    name: str,
    database: Mapping[str, Any],
    measures: Mapping[int, Mapping[str, Any]] | None,
    limits: Thresholds,
    before: Mapping[int, str],
) -> Iterator[Action]:
    """Yield the rebuilds of the indexes whose waste is beyond the limits once the vacuums before them are done.

    :param before: what comes first, by the table (oid) it is done to; VACUUM FULL rebuilds the indexes too
    """
    tables = {table["oid"]: table for table in database["tables"]}
    wanted = set(candidates(database, limits))
    measured = measures is not None
    # An estimate must be surer than a measure.
    limit = limits.index_waste_percent if measured else (limits.index_waste_percent + 100) / 2
    for index in database["indexes"]:
        if index["oid"] not in wanted or before.get(index["table"]) == "vacuum_full":
            continue
        table = tables.get(index["table"])
        if measures is None:
            share = estimated_waste(index, table, database)
            waste = None if share is None else round(share * index["bytes"] / 100)
        else:
            dead = dead_share(table) if before.get(index["table"]) == "vacuum" else 0
            measure = measures.get(index["oid"])
            waste = measure and measured_waste(index, measure, database["block_size"], dead_share=dead)
        if waste is None:
            continue
        found = percent(waste, index["bytes"])
        if found < limit or waste < limits.index_waste_min_bytes:
            continue
        how = "" if measured else " by estimate"
        reason = f"{found:.0f} % of {human_size(index['bytes'])} is waste{how} (limit {limit:g} %)"
        action = Action(
            "reindex",
            name,
            index["relation"],
            reason,
            index["bytes"],
            index["oid"],
            waste_bytes=waste,
            measured=measured,
            tablespace=index["tablespace"],
        )
        yield unless(action, obstacle(index, drop=False))


def lack_of_room(action: Action, free: Mapping[int, int]) -> str | None:
    """Return one line where ``action`` rebuilds something that does not fit on its disk beside the old one.

    :param free: free bytes by tablespace (oid); a tablespace that is not in it cannot be judged
    """
    if action.action not in ("reindex", "vacuum_full") or action.status != "planned" or action.tablespace not in free:
        return None
    needed = round(1.1 * (action.bytes_before - (action.waste_bytes or 0)))
    if free[action.tablespace] >= needed:
        return None
    return (
        f"rebuilding {action.relation} in {action.database} needs {human_size(needed)} of disk, "
        f"{human_size(free[action.tablespace])} are free: make room, or raise index_waste_percent for this run"
    )


def checks(
    name: str, database: Mapping[str, Any], actions: Sequence[Action], limits: Thresholds
) -> list[dict[str, Any]]:
    """Return what people should know of the database ``name`` once ``actions`` are behind it."""
    age = percent(database["database_freeze_age"], database["freeze_max_age"])
    status, limit = judge_high(round(age, 1), limits.freeze_percent, 100)
    broken = [index["relation"] for index in database["indexes"] if not index["valid"] and index["builder"] is None]
    held = [action for action in actions if action.status == "skipped"]
    failed = [action for action in actions if action.status == "failed"]
    return [
        make_check(
            f"pg_freeze_age:{name}",
            name=f"Freeze age of {name}",
            section="Database",
            status=status,
            value=round(age, 1),
            unit="%",
            limit=limit,
            detail=f"{database['database_freeze_age']} transactions, autovacuum forces a vacuum at {database['freeze_max_age']}",
            remedy="See what keeps vacuum from freezing: open transactions, prepared transactions, replication slots",
        ),
        make_check(
            f"pg_invalid_indexes:{name}",
            name=f"Invalid indexes in {name}",
            section="Database",
            status="warning" if broken else "ok",
            value=len(broken),
            limit=0,
            detail=", ".join(broken[:3]),
            remedy="Run the database maintenance again; it removes or rebuilds them",
        ),
        make_check(
            f"pg_maintenance:{name}",
            name=f"Maintenance of {name}",
            section="Database",
            status="critical" if failed else "warning" if held else "ok",
            value=len(held) + len(failed),
            unit="left out",
            limit=0,
            detail=(f"{(failed or held)[0].relation}: {(failed or held)[0].message}" if failed or held else ""),
            remedy="Clear what stood in the way, then run the database maintenance again",
        ),
    ]
