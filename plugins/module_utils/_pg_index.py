# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the indexes of a database need, and what grows old in it. Private to this collection.

``database`` is the document of :data:`_pg_index_sql.OBSERVE`. Everything here is pure: it finds, and says the SQL; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Database"
DAY = 86400
OFTEN = 10  # calls: what ran less was an import or somebody's own question


@dataclass(frozen=True)
class Limits:
    """From where on something is worth to be told. The reasons stand in the module's documentation."""

    unused_days: float = 30
    unused_min_bytes: int = 1_000_000
    used_scans: int = 1000
    missing_min_rows: int = 10_000
    large_rows: int = 100_000
    scans: int = 100
    freeze_percent: float = 80
    sequence_percent: float = 70
    transaction_seconds: float = 3600
    modified_percent: float = 20
    modified_rows: int = 1000


@dataclass(frozen=True)
class Finding:
    """One thing, why, and the SQL that does something about it; None where that is not for a machine to say."""

    kind: str  # unused | duplicate | missing | sequential_scans | invalid | statistics
    relation: str
    reason: str
    sql: str | None = None
    bytes: int | None = None


def findings(database: Mapping[str, Any], limits: Limits) -> list[Finding]:
    """Return all that is to be told of indexes and statistics."""
    double = list(duplicates(database))
    told = {one.relation for one in double}
    return [
        *invalid(database),
        *double,
        *(one for one in unused(database, limits) if one.relation not in told),
        *missing(database, limits),
        *scanned(database, limits),
        *stale(database, limits),
    ]


def drop(relation: str) -> str:
    return f"DROP INDEX CONCURRENTLY {relation};"


def needed(index: Mapping[str, Any]) -> bool:
    """Return whether something other than a query needs ``index``."""
    return any(index[key] for key in ("constraint", "identity", "attached", "referenced", "clustered"))


def invalid(database: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the indexes that cost writes and serve no query, unless they are being made."""
    for index in database["indexes"]:
        if not index["valid"] and index["builder"] is None and not index["attached"]:
            sql = f"REINDEX INDEX CONCURRENTLY {index['relation']};"
            yield Finding("invalid", index["relation"], "it costs writes and serves no query", sql, index["bytes"])


def shape(index: Mapping[str, Any], keys: int | None = None) -> tuple[Any, ...]:
    """Return what makes two indexes alike: all of it, or as far as their first ``keys`` columns go."""
    number = index["keys"] if keys is None else keys
    parts = [tuple(index[key][:number]) for key in ("columns", "classes", "collations", "options")]
    return index["table"], index["method"], index["expressions"], index["predicate"], *parts


def duplicates(database: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield indexes beside which another one does the same, and those that are the beginning of another."""
    usable = [index for index in database["indexes"] if index["valid"]]
    gone: set[int] = set()
    for index in sorted(usable, key=lambda one: (needed(one), one["unique"], -one["oid"])):
        if needed(index):
            continue
        for other in usable:
            if other["oid"] == index["oid"] or other["oid"] in gone or not covers(other, index):
                continue
            same = shape(other) == shape(index) and len(other["columns"]) == len(index["columns"])
            reason = f"{other['relation']} {'does the same' if same else 'begins with the same columns'}"
            gone.add(index["oid"])
            yield Finding("duplicate", index["relation"], reason, drop(index["relation"]), index["bytes"])
            break


def covers(other: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    """Return whether ``other`` serves every query that ``index`` serves, and holds apart what it holds apart."""
    if index["unique"]:
        return bool(other["unique"]) and shape(other) == shape(index) and other["columns"] == index["columns"]
    if shape(other) == shape(index) and set(index["columns"]) <= set(other["columns"]):
        return True
    longer = other["keys"] > index["keys"] and index["method"] == "btree" and index["expressions"] is None
    plain = len(index["columns"]) == index["keys"]
    return longer and plain and shape(other, index["keys"]) == shape(index)


def unused(database: Mapping[str, Any], limits: Limits) -> Iterator[Finding]:
    """Yield the indexes that no query has used for long, of tables that are used."""
    counted = database["counted_seconds"]
    if counted is not None and counted < limits.unused_days * DAY:
        return
    tables = {table["oid"]: table for table in database["tables"]}
    since = "since the database was made" if counted is None else f"for {human_duration(counted)}"
    for index in database["indexes"]:
        table = tables.get(index["table"])
        if table is None or index["scans"] or index["unique"] or not index["valid"] or needed(index):
            continue
        if index["bytes"] < limits.unused_min_bytes or table["seq_scans"] + table["index_scans"] < limits.used_scans:
            continue
        if any(serves(index, key) for key in database["foreign_keys"]):
            continue
        yield Finding("unused", index["relation"], f"not used {since}", drop(index["relation"]), index["bytes"])


def serves(index: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Return whether ``index`` begins with the columns of the foreign key ``key``, in whatever order."""
    number = len(key["columns"])
    return bool(
        index["table"] == key["table"]
        and index["valid"]
        and index["predicate"] is None
        and index["keys"] >= number
        and set(index["columns"][:number]) == set(key["columns"])
    )


def missing(database: Mapping[str, Any], limits: Limits) -> Iterator[Finding]:
    """Yield the foreign keys of large tables that no index serves: each removal of what they refer to reads the whole table."""
    tables = {table["oid"]: table for table in database["tables"]}
    for key in database["foreign_keys"]:
        table = tables[key["table"]]
        rows = max(table["rows"], table["live_rows"])
        if rows < limits.missing_min_rows or any(serves(index, key) for index in database["indexes"]):
            continue
        columns = ", ".join(map(quote_identifier, key["names"]))
        reason = f"its foreign key {key['name']} to {key['to']} has no index, {rows} rows are read for each row removed there"
        # A partitioned table takes no index CONCURRENTLY: each partition does.
        sql = None if table["kind"] == "p" else f"CREATE INDEX CONCURRENTLY ON {table['relation']} ({columns});"
        yield Finding("missing", table["relation"], reason, sql)


def scanned(database: Mapping[str, Any], limits: Limits) -> Iterator[Finding]:
    """Yield large tables that are read whole again and again."""
    for table in database["tables"]:
        rows = max(table["rows"], table["live_rows"])
        if rows < limits.large_rows or table["seq_scans"] < limits.scans:
            continue
        each = table["seq_rows"] / table["seq_scans"]
        if each >= rows / 2 and table["seq_scans"] > table["index_scans"] / 100:
            reason = f"read whole {table['seq_scans']} times, {each:.0f} rows each, and by an index {table['index_scans']} times"
            yield Finding("sequential_scans", table["relation"], reason)


def stale(database: Mapping[str, Any], limits: Limits) -> Iterator[Finding]:
    """Yield the tables whose statistics are old, or were never made."""
    for table in database["tables"]:
        if table["kind"] == "p":
            continue
        live, modified = table["live_rows"], table["modified_rows"]
        never = not table["analyzed"] and max(live, table["rows"]) >= limits.modified_rows
        share = 100 * modified / live if live else 0
        if never or (modified >= limits.modified_rows and share >= limits.modified_percent):
            reason = "never analyzed" if never else f"{share:.0f} % of its rows have changed since it was analyzed"
            yield Finding("statistics", table["relation"], reason, f"ANALYZE {table['relation']};")


KINDS = (
    ("unused", "pg_indexes_unused", "Unused indexes of", "look whether a standby or a yearly report uses it, then"),
    ("duplicate", "pg_indexes_duplicate", "Duplicate indexes of", "remove it:"),
    ("missing", "pg_indexes_missing", "Foreign keys without index in", "make it:"),
    (
        "sequential_scans",
        "pg_sequential_scans",
        "Large tables read whole in",
        "find the query: pg_stat_statements by rows",
    ),
    ("invalid", "pg_indexes_invalid", "Invalid indexes of", "the database maintenance rebuilds or removes it:"),
    ("statistics", "pg_statistics", "Tables with old statistics in", "the database maintenance does it:"),
)


def checks(name: str, database: Mapping[str, Any], found: Sequence[Finding], limits: Limits) -> list[dict[str, Any]]:
    """Return what people should know of the database ``name``."""
    return [*(_of_kind(name, database, found, limits, kind) for kind in KINDS), *_of_age(name, database, limits)]


def _of_kind(
    name: str, database: Mapping[str, Any], found: Sequence[Finding], limits: Limits, kind: Sequence[str]
) -> dict[str, Any]:
    called, identity, title, advice = kind
    mine = [one for one in found if one.kind == called]
    size = sum(one.bytes or 0 for one in mine)
    counted, status = database["counted_seconds"], "warning" if mine else "ok"
    detail = f"{mine[0].relation}: {mine[0].reason}" if mine else ""
    if len(mine) > 1:
        detail += f" (and {len(mine) - 1} more{f', together {human_size(size)}' if size else ''})"
    if called == "unused" and counted is not None and counted < limits.unused_days * DAY:
        status, detail = (
            "unknown",
            f"uses are counted for {human_duration(counted)} only, {limits.unused_days:g} days are wanted",
        )
        advice = "wait: the counters were set to zero then"
    sql = " ".join(one.sql for one in mine[:3] if one.sql)
    return make_check(
        f"{identity}:{name}",
        name=f"{title} {name}",
        section=SECTION,
        status=status,
        value=len(mine),
        limit=0,
        detail=detail,
        remedy=f"{advice} {sql}".strip(),
    )


def _of_age(name: str, database: Mapping[str, Any], limits: Limits) -> Iterator[dict[str, Any]]:
    oldest = database["oldest"] or {"relation": "none", "age": 0}
    age = round(100 * oldest["age"] / database["freeze_max_age"], 1)
    status, limit = judge_high(age, limits.freeze_percent, 100)
    yield make_check(
        f"pg_freeze_table:{name}",
        name=f"Oldest table of {name}",
        section=SECTION,
        status=status,
        value=age,
        unit="%",
        limit=limit,
        detail=f"{oldest['relation']}, of autovacuum_freeze_max_age",
        remedy=f"see what keeps vacuum from freezing, then: VACUUM (FREEZE) {oldest['relation']};",
    )
    fullest = max(database["sequences"], key=lambda one: one["percent"], default=None)
    used = float(fullest["percent"]) if fullest else 0.0
    status, limit = judge_high(used, limits.sequence_percent, 90)
    kind = f" for {fullest['type']}" if fullest and fullest["type"] else ""
    yield make_check(
        f"pg_sequences:{name}",
        name=f"Fullest sequence of {name}",
        section=SECTION,
        status=status,
        value=used,
        unit="%",
        limit=limit,
        detail=f"{fullest['relation']}, {fullest['left']} are left{kind}" if fullest else "no sequence is in use",
        remedy="plan the change of the column to bigint before it ends: each insert fails then",
    )
    longest = database["transactions"][0] if database["transactions"] else None
    seconds = longest["seconds"] if longest else 0
    status, limit = judge_high(seconds, limits.transaction_seconds, None)
    yield make_check(
        f"pg_transactions:{name}",
        name=f"Longest transaction in {name}",
        section=SECTION,
        status=status,
        value=seconds,
        unit="s",
        limit=limit,
        detail=f"session {longest['pid']} of {longest['user']} ({longest['state']})" if longest else "none is open",
        remedy=f"it keeps dead rows: find out whose it is, then SELECT pg_terminate_backend({longest['pid']});"
        if longest
        else None,
    )


def slow(name: str, report: Mapping[str, Any], limit_ms: float) -> dict[str, Any]:
    """Return the check of the statement that takes longest on average; ``report`` is the one of :mod:`_pg_report`."""
    identity, title = f"pg_slow_statements:{name}", f"Slowest statement of {name}"
    if not report["statements"]["available"]:
        remedy = "add pg_stat_statements to shared_preload_libraries, restart the server, and create the extension"
        why = report["statements"]["reason"] or ""
        return make_check(identity, name=title, section=SECTION, status="unknown", detail=why, remedy=remedy)
    often = [one for one in report["slowest_statements"] if one["calls"] >= OFTEN]
    first = often[0] if often else None
    mean = float(first["mean_ms"]) if first else 0.0
    status, limit = judge_high(mean, limit_ms, None)
    return make_check(
        identity,
        name=title,
        section=SECTION,
        status=status,
        value=mean,
        unit="ms",
        limit=limit,
        detail=f"{first['calls']} calls: {first['query']}" if first else f"none ran {OFTEN} times",
        remedy="see its plan: EXPLAIN (ANALYZE, BUFFERS). The counters stand since their last reset",
    )
