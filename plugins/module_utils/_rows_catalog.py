# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a PostgreSQL database, their columns and keys, and what refers to what. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._pg_content_sql import FULL_NAME, OURS

NEAR = 5  # names that are told where one is not known


class RowsError(Exception):
    """Rows that cannot be exported or imported; the message is one line that says what to do."""


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: str
    generated: bool = False  # the server computes it
    always: bool = False  # an identity that takes no value by itself
    required: bool = False  # there must be a value, and there is no default


@dataclass(frozen=True)
class Trigger:
    """A trigger of the application that fires."""

    name: str
    always: bool


@dataclass(frozen=True)
class Table:
    """One table, with all of its partitions."""

    name: str
    schema: str
    relation: str
    partitioned: bool = False
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()  # of the primary key, or another that is unique and always there
    triggers: tuple[Trigger, ...] = ()
    sequences: tuple[tuple[str, str, str], ...] = ()  # column, schema and name of the sequence that numbers it

    @property
    def sql(self) -> str:
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.relation)}"

    @property
    def only(self) -> str:
        """What a statement works on: rows of tables that inherit from this one are theirs."""
        return self.sql if self.partitioned else f"ONLY {self.sql}"

    def stored(self) -> list[str]:
        """Return the columns that are saved."""
        return [column.name for column in self.columns if not column.generated]


@dataclass(frozen=True)
class ForeignKey:
    """A reference from one table to another."""

    name: str
    table: str
    columns: tuple[str, ...]
    references: str
    referenced: tuple[str, ...]
    on_delete: str = "a"  # as in pg_constraint: a | r | c | n | d
    deferrable: bool = False


@dataclass(frozen=True)
class Catalog:
    """What there is in one database."""

    server_version: str
    server_version_num: int
    system_identifier: str
    tables: Mapping[str, Table]
    foreign_keys: tuple[ForeignKey, ...] = ()

    def find(self, wanted: str) -> Table:
        """Return the table ``wanted``; one without a schema is looked for in public. Quotes may be left out.

        :raises RowsError: there is none.
        """
        exact = self.tables.get(wanted if "." in wanted else f"public.{wanted}")
        found = exact or next((table for name, table in self.tables.items() if bare(name) == bare(wanted)), None)
        if found:
            return found
        known = sorted(self.tables)
        near = [name for name in known if bare(wanted).rpartition(".")[2][:4] in name] or known
        told = f"such are {', '.join(near[:NEAR])}" if near else "the database has no tables at all"
        raise RowsError(f"there is no table {wanted}: correct its name; {told}")


TABLES = f"""
SELECT json_build_object(
  'server_version', current_setting('server_version'),
  'server_version_num', current_setting('server_version_num')::int,
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'tables', (SELECT coalesce(json_agg(json_build_object(
      'name', {FULL_NAME}, 'schema', n.nspname, 'relation', c.relname, 'partitioned', c.relkind = 'p',
      'columns', (SELECT coalesce(json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
          'generated', coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '', 'always', attidentity = 'a',
          'required', attnotnull AND NOT atthasdef AND attidentity = '') ORDER BY attnum), '[]')
        FROM pg_attribute a WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
      'key', (SELECT json_agg(attname ORDER BY position) FROM (
          SELECT i.indexrelid, i.indkey FROM pg_index i
          WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
            AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)
          ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) best
        JOIN pg_index x ON x.indexrelid = best.indexrelid
        CROSS JOIN LATERAL unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY AS one(number, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = one.number),
      'triggers', (SELECT json_agg(json_build_object('name', tgname, 'always', tgenabled = 'A') ORDER BY tgname) FROM pg_trigger
        WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')),
      'sequences', (SELECT json_agg(DISTINCT jsonb_build_array(a.attname, sn.nspname, s.relname))
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        JOIN pg_depend p ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
          OR (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid
            AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i'))
        JOIN pg_class s ON s.relkind = 'S' AND s.oid = CASE p.classid WHEN 'pg_attrdef'::regclass THEN p.refobjid ELSE p.objid END
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        JOIN pg_type y ON y.oid = a.atttypid AND coalesce(nullif(y.typbasetype, 0), y.oid)
          IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
      ) ORDER BY {FULL_NAME}), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND {OURS.format("pg_class", "c")}),
  'foreign_keys', (SELECT coalesce(json_agg(json_build_object(
      'name', conname, 'table', (SELECT {FULL_NAME} FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = conrelid),
      'references', (SELECT {FULL_NAME} FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = confrelid),
      'columns', (SELECT json_agg(attname ORDER BY position) FROM unnest(conkey) WITH ORDINALITY AS one(number, position)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number),
      'referenced', (SELECT json_agg(attname ORDER BY position) FROM unnest(confkey) WITH ORDINALITY AS one(number, position)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number),
      'on_delete', confdeltype, 'deferrable', condeferrable) ORDER BY conname), '[]')
    FROM pg_constraint f WHERE contype = 'f' AND conparentid = 0));
"""  # noqa: S608  # put together from constants only


def parse(told: Mapping[str, Any]) -> Catalog:
    """Return what :data:`TABLES` has told."""
    tables = [
        Table(
            one["name"],
            one["schema"],
            one["relation"],
            one["partitioned"],
            tuple(Column(**column) for column in one["columns"]),
            tuple(one["key"] or ()),
            tuple(Trigger(**trigger) for trigger in one["triggers"] or ()),
            tuple(tuple(sequence) for sequence in one["sequences"] or ()),
        )
        for one in told["tables"]
    ]
    known = {table.name for table in tables}
    foreign = (
        ForeignKey(**{**one, "columns": tuple(one["columns"]), "referenced": tuple(one["referenced"])})
        for one in told["foreign_keys"]
        if {one["table"], one["references"]} <= known
    )
    return Catalog(
        told["server_version"],
        told["server_version_num"],
        told["system_identifier"],
        {table.name: table for table in tables},
        tuple(foreign),
    )


def bare(name: str) -> str:
    """Return a table's name with its schema and without quotes."""
    return (name if "." in name else f"public.{name}").replace('"', "")


def in_order(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return ``names`` so that each stands behind those it refers to; in a circle the order they have is kept.

    :param pairs: who refers to whom
    """
    left = list(names)
    wanted = {(one, other) for one, other in pairs if one != other}
    ordered: list[str] = []
    while left:
        free = next((one for one in left if not any((one, other) in wanted for other in left)), left[0])
        ordered.append(free)
        left.remove(free)
    return ordered
