# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of an import: rows are staged, compared with those that are there, and put among them. Private to this collection.

``s0``, ``s1``, … are temporary tables of the one session that does all of it: they are gone with it, whatever happens. ``p0``,
``p1``, … are the rows that are meant, as they are in the database: see :mod:`_rows_select`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import (
    Catalog,
    ForeignKey,
    RowsError,
    Table,
    in_order,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import PART, PLACE, Edge, Pick, chain

HERE, LINE, COPY = "runbook_ops_here", "runbook_ops_line", "runbook_ops_copy"
CASCADE, DESTROYING = "c", "cnd"  # what pg_constraint says of a reference that changes rows where theirs is deleted


@dataclass(frozen=True)
class Merge:
    """How the rows of one table are put among those that are there."""

    catalog: Catalog
    picks: tuple[Pick, ...]
    number: int  # of its pick
    columns: tuple[str, ...]  # that were exported

    @property
    def table(self) -> Table:
        return self.catalog.find(self.picks[self.number].table)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell which row is which; without any, equal rows are told apart by their number."""
        key = self.table.key
        return key if set(key) <= set(self.columns) else ()

    def stage(self) -> str:
        """Return how the temporary table is made: with the columns as they are here, and nothing else of the real one."""
        names = ", ".join(map(quote_identifier, self.columns))
        return f"CREATE TEMP TABLE s{self.number} AS SELECT {names} FROM {self.table.only} WITH NO DATA;\n"  # noqa: S608  # it is quoted

    def copy_in(self) -> str:
        names = ", ".join(map(quote_identifier, self.columns))
        return f"COPY pg_temp.s{self.number} ({names}) FROM STDIN;\n"

    def staged(self) -> str:
        return f"SELECT count(*) FROM pg_temp.s{self.number};\n"  # noqa: S608  # a number

    def compare(self) -> str:
        """Return the statement for new, equal, different, foreign and extra rows, as JSON.

        Foreign is who has the key of one of ours and is none of those that are meant: somebody else's.
        """
        return f"""\
{self._chain()}, joined AS (
  SELECT t.{HERE} IS NULL AS is_new, {self._line("s")} IS NOT DISTINCT FROM {self._line("t")} AS is_equal, {self._is_ours()} AS is_ours
  FROM {self._rows()} s LEFT JOIN {self._theirs()} t ON {self._match("s", "t")})
SELECT json_build_object('new', count(*) FILTER (WHERE is_new), 'equal', count(*) FILTER (WHERE NOT is_new AND is_equal),
  'different', count(*) FILTER (WHERE NOT is_new AND NOT is_equal),
  'foreign', count(*) FILTER (WHERE NOT is_new AND NOT is_equal AND NOT is_ours),
  'extra', (SELECT count(*) FROM ({self._extra()}) gone)) FROM joined;
"""  # noqa: S608  # it is quoted

    def list_different(self, most: int) -> str:
        """Return the statement for the keys of different rows, and the names of the columns that differ: one JSON a line."""
        keys = ", ".join(f"{quote_literal(name)}, s.{quote_identifier(name)}::text" for name in self.key)
        names = ", ".join(
            f"CASE WHEN s.{quote_identifier(name)}::text IS DISTINCT FROM t.{quote_identifier(name)}::text THEN {quote_literal(name)} END"
            for name in self.columns
        )
        order = ", ".join(f"s.{quote_identifier(name)}" for name in self.key)
        return f"""\
SELECT json_build_object('key', json_build_object({keys}), 'columns', array_remove(ARRAY[{names}]::text[], NULL))
FROM pg_temp.s{self.number} s JOIN {self.table.only} t ON {self._match("s", "t")}
WHERE {self._line("s")} IS DISTINCT FROM {self._line("t")} ORDER BY {order} LIMIT {int(most)};
"""  # noqa: S608  # it is quoted

    def delete_extra(self) -> str:
        return (
            f"{self._chain()}DELETE FROM {self.table.only} t USING ({self._extra()}) gone "  # noqa: S608  # it is quoted
            f"WHERE t.tableoid = gone.{PART} AND t.ctid = gone.{PLACE};\n"
        )

    def held_back(self, other: ForeignKey, spared: str = "") -> str:
        """Return the statement that counts rows that would change with those that are deleted, and must not.

        :param spared: the rows of the referring table that may
        """
        outside = self.catalog.find(other.table)
        same = " AND ".join(
            f"o.{quote_identifier(ours)} = gone.{quote_identifier(theirs)}"
            for ours, theirs in zip(other.columns, other.referenced)
        )
        where = ""
        if spared:
            where = f" WHERE NOT EXISTS (SELECT FROM {spared} p WHERE p.{PART} = o.tableoid AND p.{PLACE} = o.ctid)"
        return f"{self._chain()}SELECT count(*) FROM {outside.only} o JOIN ({self._extra()}) gone ON {same}{where};\n"  # noqa: S608  # it is quoted

    def holds_all(self, key: ForeignKey) -> bool:
        """Return whether all rows of this table are meant that refer by ``key`` to one that is."""
        pick = self.picks[self.number]
        return pick.whole or Edge(key.columns, key.references, key.referenced) in pick.edges

    def spared(self, key: ForeignKey, *, replaces: bool, exposed: bool) -> str:
        """Return the rows of this table that may be deleted or changed by ``key``: all that are meant, as they are put back at once.

        But not what hangs on them, and what should be left would come back with other values: then only those that are deleted anyway.

        :param exposed: whether rows that are not put back hang on some of this table
        """
        if replaces and not (exposed and key.on_delete == CASCADE):
            return f"p{self.number}"
        return f"({self._extra()})"

    def replace_different(self) -> str:
        fixed = {column.name for column in self.table.columns if column.always} | set(self.key)
        names = [name for name in self.columns if name not in fixed]
        if not self.key or not names:
            return ""
        values = ", ".join(f"{quote_identifier(name)} = s.{quote_identifier(name)}" for name in names)
        return (
            f"UPDATE {self.table.only} t SET {values} FROM pg_temp.s{self.number} s "  # noqa: S608  # it is quoted
            f"WHERE {self._match('s', 't')} AND {self._line('s')} IS DISTINCT FROM {self._line('t')};\n"
        )

    def insert_new(self) -> str:
        names = ", ".join(map(quote_identifier, self.columns))
        values = ", ".join(f"s.{quote_identifier(name)}" for name in self.columns)
        return (
            f"{self._chain()}INSERT INTO {self.table.sql} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {self._rows()} s "  # noqa: S608  # it is quoted
            f"LEFT JOIN {self._theirs()} t ON {self._match('s', 't')} WHERE t.{HERE} IS NULL;\n"
        )

    def move_sequences(self) -> str:
        """Return the statements that move sequences behind the highest number that is in the table; none is moved back."""
        return "".join(
            f"SELECT setval({quote_literal(_full(schema, name))}::regclass, top) FROM "  # noqa: S608  # it is quoted
            f"(SELECT max({quote_identifier(column)})::bigint AS top FROM {self.table.only}) found "
            f"WHERE top > 0 AND top >= (SELECT last_value + is_called::int FROM {_full(schema, name)});\n"
            for column, schema, name in self.table.sequences
        )

    def _chain(self) -> str:
        return chain(self.catalog, self.picks).rstrip("\n")

    def _rows(self) -> str:
        return f"({self._counted('s', f'pg_temp.s{self.number}')})"

    def _theirs(self) -> str:
        """Return what staged rows may meet: where there is a key, every row of the table; else those that are meant."""
        rows = f"p{self.number}"
        if self.key:
            rows = f"(SELECT o.*, o.tableoid AS {PART}, o.ctid AS {PLACE} FROM {self.table.only} o)"  # noqa: S608  # it is quoted
        return f"({self._counted('t', rows)})"

    def _counted(self, alias: str, rows: str) -> str:
        more = f", true AS {HERE}"
        if not self.key:
            more += f", {self._line(alias)} AS {LINE}, row_number() OVER (PARTITION BY {self._line(alias)}) AS {COPY}"
        return f"SELECT {alias}.*{more} FROM {rows} {alias}"  # noqa: S608  # it is quoted

    def _extra(self) -> str:
        """Return the rows that are meant, are there, and are none of those that are staged."""
        return (
            f"SELECT o.* FROM ({self._counted('o', f'p{self.number}')}) o LEFT JOIN {self._rows()} s "  # noqa: S608  # it is quoted
            f"ON {self._match('s', 'o')} WHERE s.{HERE} IS NULL"
        )

    def _is_ours(self) -> str:
        if self.picks[self.number].whole or not self.key:
            return "true"
        return f"EXISTS (SELECT FROM p{self.number} p WHERE p.{PART} = t.{PART} AND p.{PLACE} = t.{PLACE})"

    def _match(self, one: str, other: str) -> str:
        names = [quote_identifier(name) for name in self.key] or [LINE, COPY]
        return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)

    def _line(self, alias: str) -> str:
        """Return a row as text: some types cannot be compared, all can be printed."""
        return f"ROW({', '.join(f'{alias}.{quote_identifier(name)}' for name in self.columns)})::text"


def merges(catalog: Catalog, picks: Sequence[Pick], wanted: Sequence[tuple[int, str, dict[str, str]]]) -> list[Merge]:
    """Return how each table is merged, those before that others refer to.

    :param wanted: number of the pick, table, and columns with their types
    :raises RowsError: a table is not here, or its columns do not fit.
    """
    found = {}
    for number, name, columns in sorted(wanted, key=lambda one: one[0]):  # in a circle this order stays
        if name not in catalog.tables:
            raise RowsError(f"there is no table {name} here: migrate this database first")
        problems = [*_misfits(catalog.tables[name], columns)]
        if problems:
            raise RowsError(
                f"{name} is not made as where its rows are from: {'; '.join(problems)}: migrate one of the two first"
            )
        found[name] = Merge(catalog, tuple(picks), number, tuple(columns))
    pairs = [(key.table, key.references) for key in catalog.foreign_keys]
    pairs += [(pick.table, edge.references) for pick in picks for edge in pick.edges]
    return [found[name] for name in in_order(found, pairs)]


def _misfits(table: Table, columns: dict[str, str]) -> Iterator[str]:
    here = {column.name: column for column in table.columns}
    for name, kind in columns.items():
        if name not in here:
            yield f"column {name} is missing here"
        elif here[name].generated:
            yield f"column {name} is computed here"
        elif here[name].type != kind:
            yield f"column {name} is {here[name].type} here and {kind} there"
    for name, column in here.items():
        if name not in columns and column.required:
            yield f"column {name} must have a value here and is missing there"


def before(ordered: Sequence[Merge]) -> str:
    """Return what lets the rows in as they were: the application's triggers rest, and references in a circle wait for the end."""
    waiting = circular(ordered)
    rest = [f"DISABLE TRIGGER {quote_identifier(one.name)}" for merge in ordered for one in merge.table.triggers]
    tables = [merge.table.only for merge in ordered for _one in merge.table.triggers]
    lines = [f"ALTER TABLE {table} {what};\n" for table, what in zip(tables, rest)]
    lines += [
        f"ALTER TABLE {table.sql} ALTER CONSTRAINT {quote_identifier(key.name)} DEFERRABLE INITIALLY DEFERRED;\n"
        for table, key in waiting
    ]
    return "".join([*lines, "SET CONSTRAINTS ALL DEFERRED;\n"])


def after(ordered: Sequence[Merge]) -> str:
    """Return what undoes :func:`before`; references are looked at first, all of them."""
    lines = ["SET CONSTRAINTS ALL IMMEDIATE;\n"]
    lines += [
        f"ALTER TABLE {merge.table.only} ENABLE {'ALWAYS ' if one.always else ''}TRIGGER {quote_identifier(one.name)};\n"
        for merge in ordered
        for one in merge.table.triggers
    ]
    lines += [
        f"ALTER TABLE {table.sql} ALTER CONSTRAINT {quote_identifier(key.name)} NOT DEFERRABLE;\n"
        for table, key in circular(ordered)
    ]
    return "".join(lines)


def circular(ordered: Sequence[Merge]) -> list[tuple[Table, ForeignKey]]:
    """Return the references that lead to a table whose rows come later. To let them wait locks their table for readers too."""
    places = {merge.table.name: place for place, merge in enumerate(ordered)}
    if not ordered:
        return []
    return [
        (ordered[places[key.table]].table, key)
        for key in ordered[0].catalog.foreign_keys
        if key.table in places
        and key.references in places
        and places[key.table] < places[key.references]
        and not key.deferrable
    ]


def outside(ordered: Sequence[Merge], *, replaces: bool) -> list[tuple[ForeignKey, str]]:
    """Return the references that may delete or change rows that must stay when ours are deleted, with the count of such rows.

    They may stand in the tables that are merged, too, and be somebody else's.
    """
    places = {merge.table.name: merge for merge in ordered}
    keys = [key for merge in ordered[:1] for key in merge.catalog.foreign_keys if key.on_delete in DESTROYING]
    exposed = {key.references for key in keys if key.table not in places or not places[key.table].holds_all(key)}
    for _round in keys:
        exposed |= {key.references for key in keys if key.table in exposed and key.on_delete == CASCADE}
    found = []
    for key in keys:
        if key.references in places:
            merged = places.get(key.table)
            spared = merged.spared(key, replaces=replaces, exposed=key.table in exposed) if merged else ""
            found.append((key, places[key.references].held_back(key, spared)))
    return found


def _full(schema: str, name: str) -> str:
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"
