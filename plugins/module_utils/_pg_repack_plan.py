# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables are worth to be written anew, and what keeps one from it. Private to this collection.

``database`` is the document of :func:`_pg_repack_sql.observe`; ``measures`` are pgstattuple's figures by object identifier.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack_sql import vacuum_full
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

PAGE_HEADER, LINE_POINTER, ALIGNMENT = 24, 4, 8
# The copy lies beside the old table until they are exchanged, and what is written passes through the WAL.
ROOM = 1.1


@dataclass(frozen=True)
class Limits:
    """From where on a table is written anew, and how much a run may do. The reasons stand in the module's documentation."""

    waste_percent: float = 15
    waste_min_bytes: int = 1_000_000
    byte_budget: int | None = None
    open_transaction_seconds: float = 60


@dataclass(frozen=True)
class Step:
    """One thing to do to one table, and what became of it."""

    action: str  # clean | repack
    database: str
    relation: str
    reason: str
    oid: int
    bytes_before: int
    waste_bytes: int = 0
    measured: bool | None = None
    tablespace: int = 0
    file: int = 0
    leftover: Mapping[str, Any] | None = None
    status: str = "planned"  # planned | done | skipped | failed
    message: str | None = None
    bytes_after: int | None = None
    seconds: float | None = None

    @property
    def what(self) -> str:
        """What is run, for people."""
        if self.action == "clean":
            return f"remove what an interrupted pg_repack left of {self.relation}"
        return f"pg_repack --no-order --no-kill-backend --table={self.relation}"


def smallest_bytes(measure: Mapping[str, Any], *, block_size: int, fillfactor: int) -> int:
    """Return the bytes that the rows of ``measure`` take in a table that is written anew."""
    rows = float(measure["rows"])
    if rows <= 0:
        return 0
    row = math.ceil(float(measure["row_bytes"]) / rows / ALIGNMENT) * ALIGNMENT + LINE_POINTER
    per_page = max(1, math.floor((block_size - PAGE_HEADER) * fillfactor / 100 / row))
    return math.ceil(rows / per_page) * block_size


def waste_of(
    table: Mapping[str, Any], measures: Mapping[int, Mapping[str, Any]] | None, block_size: int
) -> tuple[int, bool]:
    """Return the bytes of ``table`` and its TOAST table that a rewrite gives back, and whether that was measured."""
    if measures is None or table["oid"] not in measures:
        rows = table["live_rows"] + table["dead_rows"]
        return round(table["bytes"] * table["dead_rows"] / rows) if rows else 0, False
    waste = 0
    for oid, fillfactor in ((table["oid"], table["fillfactor"]), (table["toast"], 100)):
        measure = measures.get(oid)
        if measure:
            least = smallest_bytes(measure, block_size=block_size, fillfactor=fillfactor)
            waste += max(0, measure["bytes"] - least)
    return waste, True


def plan(
    name: str, database: Mapping[str, Any], measures: Mapping[int, Mapping[str, Any]] | None, limits: Limits
) -> list[Step]:
    """Return what to do in the database ``name``: first what is left over goes, then the tables with most waste."""
    return [*cleanings(name, database), *rewrites(name, database, measures, limits)]


def cleanings(name: str, database: Mapping[str, Any]) -> Iterator[Step]:
    """Yield what a pg_repack left that runs no more. What belongs to one that runs is its own."""
    running = {run["oid"] for run in database["runs"]}
    for left in database["leftovers"]:
        if left["oid"] not in running:
            relation = left["relation"] or f"a table that is gone ({left['oid']})"
            reason = f"left by a pg_repack that was interrupted: {', '.join(left['parts'])}"
            yield Step("clean", name, relation, reason, left["oid"], int(left["bytes"]), leftover=left)


def rewrites(
    name: str, database: Mapping[str, Any], measures: Mapping[int, Mapping[str, Any]] | None, limits: Limits
) -> list[Step]:
    """Return the tables that are bloated, those with most waste first, each with what keeps it from being written anew."""
    running = {run["oid"]: run for run in database["runs"]}
    found = []
    for table in database["tables"]:
        waste, measured = waste_of(table, measures, database["block_size"])
        bytes_of = table["bytes"] + table["toast_bytes"]
        share = 100 * waste / bytes_of if bytes_of else 0
        if waste < limits.waste_min_bytes or share < limits.waste_percent:
            continue
        how = "" if measured else " by estimate"
        step = Step(
            "repack",
            name,
            table["relation"],
            f"{share:.0f} % of {human_size(bytes_of)} is waste{how} (limit {limits.waste_percent:g} %)",
            table["oid"],
            table["total_bytes"],
            waste_bytes=waste,
            measured=measured,
            tablespace=table["tablespace"],
            file=table["file"],
        )
        found.append(unless(step, obstacle(table, running.get(table["oid"]))))
    return sorted(found, key=lambda step: (-step.waste_bytes, step.relation))


def obstacle(table: Mapping[str, Any], run: Mapping[str, Any] | None) -> str | None:
    """Return what keeps ``table`` from being written anew."""
    if run:
        return f"session {run['pid']} repacks it already, for {run['seconds']:.0f} s"
    if not table["owned"]:
        return "the role does not own it: run as the owner or a superuser"
    if not table["keyed"]:
        return (
            "pg_repack needs a primary key, or a unique index over columns that are NOT NULL: add one,"
            f" or run {vacuum_full(table['relation'])} in a window"
        )
    return None


def unless(step: Step, message: str | None) -> Step:
    return step if message is None or step.status != "planned" else replace(step, status="skipped", message=message)


def budgeted(
    steps: Sequence[Step], limits: Limits, free: Mapping[int, int], wal_tablespace: int | None, jobs: int = 1
) -> list[Step]:
    """Return ``steps`` with those left out that do not fit: into the bytes of a run, or on the disk.

    :param free: free bytes by tablespace (oid); one that is not in it cannot be judged
    :param wal_tablespace: the tablespace beside which the WAL lies
    :param jobs: how many are written side by side: their copies lie on the disk at the same time
    """
    left = limits.byte_budget
    result: list[Step] = []
    fitting: list[Step] = []
    for step in steps:
        if step.action == "repack" and step.status == "planned":
            step = unless(step, lack_of_room(step, free, wal_tablespace, fitting, jobs))  # noqa: PLW2901
            if step.status == "planned" and left is not None:
                if step.bytes_before > left:
                    message = f"{human_size(step.bytes_before)} do not fit into what is left of byte_budget ({human_size(left)})"
                    step = unless(step, message)  # noqa: PLW2901
                else:
                    left -= step.bytes_before
            if step.status == "planned":
                fitting.append(step)
        result.append(step)
    return result


def room_of(step: Step, tablespace: int, wal_tablespace: int | None) -> int:
    """Return the bytes that writing the table of ``step`` anew takes in ``tablespace``: the copy, the WAL, or both."""
    parts = (step.tablespace, wal_tablespace).count(tablespace)
    return round(ROOM * (step.bytes_before - step.waste_bytes) * parts)


def lack_of_room(
    step: Step, free: Mapping[int, int], wal_tablespace: int | None, others: Sequence[Step] = (), jobs: int = 1
) -> str | None:
    """Return one line where the copy of a table does not fit, with the largest of ``others`` that may be written beside it."""
    for tablespace in dict.fromkeys((step.tablespace, wal_tablespace)):
        if tablespace is None or tablespace not in free:
            continue
        needed = room_of(step, tablespace, wal_tablespace)
        largest = sorted((room_of(other, tablespace, wal_tablespace) for other in others), reverse=True)[: jobs - 1]
        if free[tablespace] >= needed + sum(largest):
            continue
        what = (
            "WAL" if tablespace != step.tablespace else "copy with its WAL" if tablespace == wal_tablespace else "copy"
        )
        beside = f", and what is written beside it {human_size(sum(largest))}" if any(largest) else ""
        return (
            f"its {what} needs {human_size(needed)} of disk{beside}, {human_size(free[tablespace])} are free: make room"
        )
    return None


def not_installed(database: Mapping[str, Any], client: str | None, name: str, *, inside: bool = False) -> str | None:
    """Return how pg_repack gets installed where a part of it is missing.

    :param client: the version of the program; None where there is none
    """
    major = database["version"] // 10000
    package = f"postgresql-{major}-repack"
    where = "into the image of the container" if inside else "on the server's host"
    if database["available"] is None:
        return f"install the extension {where} (Debian: apt-get install {package}), then CREATE EXTENSION pg_repack in {name}"
    if database["installed"] is None:
        return f"create the extension: CREATE EXTENSION pg_repack in {name}, as a superuser"
    if client is None:
        return f"install the program pg_repack {where if inside else 'here'} (Debian: apt-get install {package})"
    if client != database["installed"]:
        return (
            f"the program is {client} and the extension in {name} is {database['installed']}: install the same of both,"
            " then DROP EXTENSION pg_repack and CREATE EXTENSION pg_repack"
        )
    return None


def checks(
    name: str, steps: Sequence[Step], left: Sequence[Mapping[str, Any]], lacking: str | None
) -> list[dict[str, Any]]:
    """Return what people should know of the database ``name`` once ``steps`` are behind it.

    :param left: what is left over still and belongs to nobody
    :param lacking: how pg_repack gets installed, where it is not
    """
    rewritten = [step for step in steps if step.action == "repack"]
    failed = [step for step in steps if step.status == "failed"]
    held = [step for step in rewritten if step.status in ("skipped", "planned")]
    waste = sum(step.waste_bytes for step in rewritten if step.status != "done")
    detail, remedy = "", "clear what stood in the way, then run the database optimization again"
    if failed:
        detail = f"{failed[0].relation}: {failed[0].message}"
    elif held and lacking:
        tables = ", ".join(step.relation for step in held[:3]) + (", ..." if len(held) > 3 else "")
        detail = f"pg_repack would give back {human_size(waste)} of {tables}; it is not ready"
        remedy = f"{lacking}. Without it, in a window: {'; '.join(vacuum_full(step.relation) for step in held[:3])}"
    elif held:
        if all(step.status == "planned" for step in held):
            remedy = "run the database optimization: nothing stands in the way"
        detail = f"{held[0].relation}: {held[0].message or held[0].reason}"
    return [
        make_check(
            f"pg_table_waste:{name}",
            name=f"Waste in the tables of {name}",
            section="Database",
            status="critical" if failed else "warning" if held else "ok",
            value=waste,
            unit="bytes",
            limit=0,
            detail=detail or "no table is bloated",
            remedy=remedy,
        ),
        make_check(
            f"pg_repack_leftovers:{name}",
            name=f"Leftovers of pg_repack in {name}",
            section="Database",
            status="warning" if left else "ok",
            value=len(left),
            limit=0,
            detail=", ".join(str(one["relation"] or one["oid"]) for one in left[:3]),
            remedy="run the database optimization again; it removes them. Their trigger makes each write to the table slower",
        ),
    ]
