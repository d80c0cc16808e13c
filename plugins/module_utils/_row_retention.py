# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of a table are old, and the SQL of the steps that remove them. Private to this collection."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._pg import (
    quote_identifier,
    quote_literal,
)
from ansible_collections.runbook.ops.plugins.module_utils._words import closest

TIMES = ("date", "timestamp without time zone", "timestamp with time zone")
SHORTEST_SECONDS = 86400.0  # a younger limit is a slip of the unit rather than a rule
TID_RANGES = 140000  # the first version that reads a range of a table's blocks without reading all of them

# The table itself with all of its partitions: a foreign key may refer to any of them, and a partition has a copy of its parent's.
TREE = "SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)"
FIND = """
SELECT coalesce(json_agg(json_build_object(
  'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname,
  'owned', pg_has_role(c.relowner, 'USAGE'),
  'allowed', (SELECT bool_and(has_table_privilege(t.oid, 'SELECT') AND has_table_privilege(t.oid, 'UPDATE')
                              AND has_table_privilege(t.oid, 'DELETE')) FROM pg_class t WHERE t.oid IN (%(tree)s)),
  'columns', (SELECT json_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
  'cascades', (SELECT coalesce(json_agg(format('%%s (%%s)', conrelid::regclass, conname) ORDER BY k.oid), '[]') FROM pg_constraint k
               WHERE contype = 'f' AND confrelid IN (%(tree)s) AND confdeltype IN ('c', 'n', 'd')
                 AND NOT EXISTS (SELECT FROM pg_constraint up WHERE up.oid = k.conparentid AND up.confrelid IN (%(tree)s))),
  'parts', (SELECT json_agg(json_build_object(
      'schema', pn.nspname, 'name', p.relname, 'blocks', (pg_relation_size(p.oid) / current_setting('block_size')::int)::bigint,
      'rows_a_block', CASE WHEN p.relpages > 0 AND p.reltuples > 0 THEN p.reltuples / p.relpages END,
      'indexed', EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = i.indkey[0]
                         JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                         WHERE i.indrelid = p.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND a.attname = %(column)s)))
    FROM pg_class p JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE p.relkind = 'r' AND p.oid IN (%(tree)s))
)), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relname = %(name)s AND n.nspname %(schema)s
"""


class RetentionError(Exception):
    """Rows that are not to be removed, or could not be; the message is one line."""


class Rule(NamedTuple):
    """Which rows are too old."""

    database: str
    table: str  # with or without its schema
    column: str
    seconds: float
    cascade: bool  # whether other rows may go, or change, with them


class Part(NamedTuple):
    """One table that holds rows: the one that is named, or a partition of it."""

    schema: str
    name: str
    blocks: int
    rows_a_block: float | None
    indexed: bool

    @property
    def sql(self) -> str:
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.name)}"


class Table(NamedTuple):
    """A table with old rows in it."""

    schema: str
    name: str
    parts: tuple[Part, ...]
    condition: str  # SQL that is true for a row that is too old

    @property
    def sql(self) -> str:
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.name)}"


def find_query(rule: Rule) -> str:
    """Return the SQL that tells what is known of the table."""
    schema, dot, name = rule.table.rpartition(".")
    return FIND % {
        "tree": TREE,
        "name": quote_literal(name),
        "column": quote_literal(rule.column),
        "schema": f"= {quote_literal(schema)}" if dot else "NOT IN ('pg_catalog', 'information_schema')",
    }


def understand(rule: Rule, found: list[dict[str, Any]], *, version: int, now: str) -> Table:
    """Return the table of ``rule``.

    :param found: what :func:`find_query` tells
    :param now: the moment that is counted from, as the server writes it, in UTC
    :raises RetentionError: there is no such table, or its rows are not to be removed so.
    """
    if rule.seconds < SHORTEST_SECONDS:
        raise RetentionError(
            f"rows of {rule.table} older than {rule.seconds:g} s would go: a limit is one day at least"
        )
    if len(found) != 1:
        raise RetentionError(
            f"{rule.database} has no table {rule.table}"
            if not found
            else f"{rule.database} has several tables {rule.table}: name its schema, {' or '.join(one['schema'] for one in found)}"
        )
    (table,) = found
    kind = table["columns"].get(rule.column)
    if kind is None:
        nearest = closest(rule.column, list(table["columns"]))
        raise RetentionError(
            f"{rule.table} has no column {rule.column}" + (f": did you mean {nearest}?" if nearest else "")
        )
    if kind not in TIMES:
        raise RetentionError(f"the column {rule.column} of {rule.table} is {kind}: how old a row is, a time says")
    if not table["allowed"]:
        raise RetentionError(
            f"the role may not read, lock (UPDATE) and delete in {rule.table} and all its partitions: log in as its owner (login_user, run_as)"
        )
    if table["cascades"] and not rule.cascade:
        raise RetentionError(
            f"with rows of {rule.table} others would go or change, in {', '.join(table['cascades'])}: allow it with cascade"
        )
    parts = tuple(
        Part(one["schema"], one["name"], one["blocks"], one["rows_a_block"], one["indexed"])
        for one in table["parts"] or []
    )
    slow = [one.name for one in parts if not one.indexed]
    if slow and version < TID_RANGES:
        raise RetentionError(
            f"{slow[0]} has no index that begins with {rule.column}, so that each step would read all of it: make one, CONCURRENTLY"
        )
    moment = f"{quote_literal(now)}::timestamptz - {rule.seconds:.0f} * interval '1 second'"
    if kind != "timestamp with time zone":
        moment = f"({moment}) AT TIME ZONE 'UTC'"  # a time without a zone is taken for UTC
    condition = f"{quote_identifier(rule.column)} < {f'({moment})::date' if kind == 'date' else moment}"
    return Table(table["schema"], table["name"], parts, condition)


def count_query(table: Table) -> str:
    """Return the SQL that counts what is too old."""
    each = (f"(SELECT count(*) FROM ONLY {part.sql} WHERE {table.condition})" for part in table.parts)  # noqa: S608  # quoted names
    return f"SELECT {' + '.join(each) or '0'};"


def indexed_step(part: Part, column: str, condition: str, rows: int, after: str | None) -> str:
    """Return the SQL that removes the oldest rows of ``part``: it prints how many, and the youngest time among them.

    :param after: the youngest time of the step before, so that what is dead already is not read again
    """
    name = quote_identifier(column)
    since = f" AND {name} >= {quote_literal(after)}" if after else ""
    chosen = (
        f"SELECT ctid FROM ONLY {part.sql} WHERE {condition}{since} ORDER BY {name} LIMIT {rows} FOR UPDATE SKIP LOCKED"  # noqa: S608
    )
    return _told(part, f"ctid = ANY (ARRAY({chosen})) AND {condition}", name)


def range_step(part: Part, column: str, condition: str, first: int, last: int) -> str:
    """Return the SQL that removes the old rows in a range of blocks of ``part``, ``last`` not among them."""
    blocks = f"ctid >= '({first},0)' AND ctid < '({last},0)'"
    chosen = f"SELECT ctid FROM ONLY {part.sql} WHERE {blocks} AND {condition} FOR UPDATE SKIP LOCKED"  # noqa: S608
    # As many as there are in the snapshot: those among them that are not removed are locked, or were changed meanwhile.
    seen = f"(SELECT count(*) FROM ONLY {part.sql} WHERE {blocks} AND {condition})"  # noqa: S608
    return _told(part, f"ctid = ANY (ARRAY({chosen})) AND {condition}", quote_identifier(column), seen)


def left_query(part: Part, condition: str) -> str:
    """Return the SQL that tells whether there is still a row that is too old."""
    return f"SELECT json_build_object('left', EXISTS (SELECT FROM ONLY {part.sql} WHERE {condition}));"  # noqa: S608


def _told(part: Part, where: str, column: str, seen: str = "NULL") -> str:
    return (
        f"WITH gone AS (DELETE FROM ONLY {part.sql} WHERE {where} RETURNING {column} AS at) "  # noqa: S608  # quoted names
        f"SELECT json_build_object('rows', count(*), 'youngest', max(at), 'seen', {seen}) FROM gone;"
    )


def parse(lines: list[str]) -> Any:
    """Return the JSON document that a statement has printed."""
    return json.loads("\n".join(lines))
