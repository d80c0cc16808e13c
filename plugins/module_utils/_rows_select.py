# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows belong to an export: whole tables, or some rows and all that refers to them. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import (
    Catalog,
    ForeignKey,
    RowsError,
    Table,
    in_order,
)

PART, PLACE = "runbook_ops_part", "runbook_ops_place"  # where a row is: in which table, and where in that


@dataclass(frozen=True)
class Edge:
    """A reference that is followed: rows whose ``columns`` are the ``referenced`` of rows that are picked are picked too."""

    columns: tuple[str, ...]
    references: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class Pick:
    """The rows of one table: those with ``value`` in ``column``, those that ``edges`` lead to, or all."""

    table: str
    column: str | None = None
    value: str | None = None
    edges: tuple[Edge, ...] = ()

    @property
    def whole(self) -> bool:
        return self.column is None and not self.edges

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Pick:
        edges = (Edge(tuple(e["columns"]), e["references"], tuple(e["referenced"])) for e in told["edges"])
        return cls(told["table"], told["column"], told["value"], tuple(edges))


def plan(
    catalog: Catalog,
    *,
    tables: Sequence[str] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    follow: bool = True,
    exclude: Sequence[str] = (),
) -> list[Pick]:
    """Return what is picked, each table behind those that it is found by.

    :param tables: those that are taken whole
    :param rows: ``table``, ``column`` and ``value`` of rows that are taken, with what refers to them
    :raises RowsError: nothing is asked for, or a table or column is not there.
    """
    if bool(tables) == bool(rows):
        raise RowsError("say either which tables are taken whole, or which rows: set tables or rows")
    if tables:
        names = list(dict.fromkeys(catalog.find(name).name for name in tables))
        return [Pick(name) for name in in_order(names, [(one.table, one.references) for one in catalog.foreign_keys])]
    roots: dict[str, Pick] = {}
    for one in rows:
        table = catalog.find(str(one["table"]))
        if one["column"] not in [column.name for column in table.columns]:
            raise RowsError(f"{table.name} has no column {one['column']}: correct rows")
        if table.name in roots:
            raise RowsError(f"{table.name} stands twice in rows: only one value of one column can be asked for")
        roots[table.name] = Pick(table.name, str(one["column"]), str(one["value"]))
    left_out = {catalog.find(name).name for name in exclude}
    depths = _depths(catalog, list(roots), left_out) if follow else dict.fromkeys(roots, 0)
    picks = [roots.get(name) or Pick(name, edges=tuple(_edges(catalog, name, depths))) for name in depths]
    order = in_order([pick.table for pick in picks], [(p.table, e.references) for p in picks for e in p.edges])
    return sorted(picks, key=lambda pick: order.index(pick.table))


def _depths(catalog: Catalog, roots: Sequence[str], left_out: set[str]) -> dict[str, int]:
    """Return how many references lead from each table to the nearest of ``roots``, nearest first."""
    depths = dict.fromkeys(roots, 0)
    for name in (queue := list(roots)):
        for one in catalog.foreign_keys:
            if one.references == name and one.table not in depths and one.table not in left_out:
                depths[one.table] = depths[name] + 1
                queue.append(one.table)
    return depths


def _edges(catalog: Catalog, name: str, depths: Mapping[str, int]) -> Iterator[Edge]:
    """Yield the references that lead towards the roots, and those within the table itself.

    The others lead away: a tenant's owner is found as one of its users, but other tenants of that user are others'.
    """
    for one in catalog.foreign_keys:
        if one.table == name and (one.references == name or depths.get(one.references, len(depths)) < depths[name]):
            yield Edge(one.columns, one.references, one.referenced)


def chain(catalog: Catalog, picks: Sequence[Pick]) -> str:
    """Return the beginning of a statement in which ``p0``, ``p1``, … are the rows of ``picks``.

    :raises RowsError: a table or column is not in ``catalog``.
    """
    numbers = {pick.table: number for number, pick in enumerate(picks)}
    parts: list[str] = []
    for number, pick in enumerate(picks):
        table = catalog.find(pick.table)
        own = [edge for edge in pick.edges if edge.references == pick.table]
        others = [edge for edge in pick.edges if edge.references != pick.table]
        for edge in pick.edges:
            _known(table, edge.columns)
            _known(catalog.find(edge.references), edge.referenced)
        wanted = [
            f"({_list('t', edge.columns)}) IN (SELECT {_list('r', edge.referenced)} FROM p{numbers[edge.references]} r)"  # noqa: S608  # it is quoted
            for edge in others
        ]
        if pick.column is not None:
            _known(table, [pick.column])
            wanted.append(f"t.{quote_identifier(pick.column)} = {quote_literal(str(pick.value))}")
        where = " OR ".join(wanted) or "true"
        if own:
            parts.append(_closure(table, number, own, where))
            where = f"(t.tableoid::text, t.ctid::text) IN (SELECT part, place FROM r{number})"  # noqa: S608  # a number
        rows = f"SELECT t.*, t.tableoid AS {PART}, t.ctid AS {PLACE} FROM {table.only} t WHERE {where}"  # noqa: S608  # it is quoted
        parts.append(f"p{number} AS ({rows})")
    return "WITH RECURSIVE " + ",\n".join(parts) + "\n"


def _closure(table: Table, number: int, own: Sequence[Edge], where: str) -> str:
    """Return the rows that ``where`` picks and those of the same table that refer to them, in turn."""
    kept = list(dict.fromkeys(name for edge in own for name in edge.referenced))
    columns = f"t.tableoid::text, t.ctid::text, {_list('t', kept)}"
    joined = " OR ".join(
        f"({_list('t', edge.columns)}) = ({', '.join(f'r.k{kept.index(name)}' for name in edge.referenced)})"
        for edge in own
    )
    names = ", ".join(["part", "place", *(f"k{position}" for position in range(len(kept)))])
    return (
        f"r{number}({names}) AS (SELECT {columns} FROM {table.only} t WHERE {where} "  # noqa: S608  # it is quoted
        f"UNION SELECT {columns} FROM {table.only} t JOIN r{number} r ON {joined})"
    )


def _list(alias: str, columns: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{quote_identifier(name)}" for name in columns)


def _known(table: Table, columns: Sequence[str]) -> None:
    missing = sorted(set(columns) - {column.name for column in table.columns})
    if missing:
        raise RowsError(f"{table.name} has no column {', '.join(missing)} here: is this the right database?")


def copy_out(catalog: Catalog, picks: Sequence[Pick], number: int, columns: Sequence[str]) -> str:
    """Return the statement that prints the rows of the pick ``number`` in COPY's text format."""
    names = ", ".join(map(quote_identifier, columns))
    return f"COPY ({chain(catalog, picks)}SELECT {names} FROM p{number}) TO STDOUT;\n"  # noqa: S608  # it is quoted


def count(catalog: Catalog, picks: Sequence[Pick]) -> str:
    """Return the statement that counts the rows of each pick, in their order, as one JSON list."""
    counts = ", ".join(f"(SELECT count(*) FROM p{number})" for number in range(len(picks)))  # noqa: S608  # numbers
    return f"{chain(catalog, picks)}SELECT json_build_array({counts});\n"


def strays(catalog: Catalog, picks: Sequence[Pick]) -> list[tuple[ForeignKey, str]]:
    """Return the references that may lead from a picked row to one of the same tables that is not, with the count of such rows."""
    numbers = {pick.table: number for number, pick in enumerate(picks)}
    found = []
    for one in catalog.foreign_keys:
        here, there = numbers.get(one.table), numbers.get(one.references)
        if here is None or there is None or picks[there].whole:
            continue
        same = " AND ".join(
            f"r.{quote_identifier(theirs)} = t.{quote_identifier(ours)}"
            for ours, theirs in zip(one.columns, one.referenced)
        )
        given = " AND ".join(f"t.{quote_identifier(name)} IS NOT NULL" for name in one.columns)
        sql = (
            f"{chain(catalog, picks)}SELECT count(*) FROM p{here} t WHERE {given} "  # noqa: S608  # it is quoted
            f"AND NOT EXISTS (SELECT FROM p{there} r WHERE {same});\n"
        )
        found.append((one, sql))
    return found


def needed(catalog: Catalog, picks: Sequence[Pick]) -> list[str]:
    """Return the tables that picked rows refer to and that are not picked: their rows must be where these are imported."""
    names = {pick.table for pick in picks}
    return sorted(
        {one.references for one in catalog.foreign_keys if one.table in names and one.references not in names}
    )


def overlooked(catalog: Catalog, picks: Sequence[Pick], exclude: Sequence[str] = ()) -> list[str]:
    """Return tables that no reference leads to, but that have a column by which others were found: ``table.column``."""
    names = {pick.table for pick in picks}
    roots = {pick.table for pick in picks if pick.column is not None}
    left_out = {catalog.find(name).name for name in exclude}
    columns = {
        edge.columns[0] for pick in picks for edge in pick.edges if edge.references in roots and len(edge.columns) == 1
    }
    return sorted(
        f"{table.name}.{column.name}"
        for table in catalog.tables.values()
        for column in table.columns
        if table.name not in names | left_out and column.name in columns
    )
