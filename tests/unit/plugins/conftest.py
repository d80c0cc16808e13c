# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests share: documents as PostgreSQL describes a database."""

from __future__ import annotations

import copy
import itertools
import re
from types import SimpleNamespace

import pytest

MEGA = 1_000_000
VERBS = re.compile(r"(?:VACUUM|ANALYZE|REINDEX|DROP)\b")


def make_table(oid, relation, **other):
    """Return a table that needs nothing."""
    return {
        **{"oid": oid, "relation": relation, "kind": "r", "bytes": 50 * MEGA, "tablespace": 1663},
        **{"live_rows": 100_000, "dead_rows": 0, "toast_live_rows": 0, "toast_dead_rows": 0, "modified_rows": 0},
        **{"cold_share": 1, "analyzed": True, "vacuumed_at": None, "xid_age": 1000, "multixact_age": 0},
        **{"parent": None, "partition": False, "may_vacuum": True, "owned": True},
        **other,
    }


def make_index(oid, table, name, **other):
    """Return an index of integers that needs nothing: 100 000 rows fit into 2 MB."""
    column = {"width": 4, "fixed": True, "distinct": -1, "null_fraction": 0, "align": 4}
    return {
        **{
            "oid": oid,
            "table": table,
            "relation": f"public.{name}",
            "name": name,
            "method": "btree",
            "bytes": 2_260_992,
        },
        **{
            "tablespace": 1663,
            "rows": 100_000,
            "valid": True,
            "exclusion": False,
            "may_reindex": True,
            "may_drop": True,
        },
        **{"fillfactor": 90, "deduplicates": False, "definition": None, "builder": None, "columns": [column]},
        **other,
    }


def make_database(tables=(), indexes=(), **other):
    """Return the document of a database in which nobody else is at work."""
    return {
        **{"version": 150000, "block_size": 8192, "in_recovery": False, "role": "postgres", "now": 1_000_000.0},
        **{"freeze_max_age": 200 * MEGA, "multixact_freeze_max_age": 400 * MEGA, "database_freeze_age": 1000},
        **{"oldest_transaction_seconds": 0, "holders": [], "runs": [], "directories": None},
        "tables": list(tables),
        "indexes": list(indexes),
        **other,
    }


def make_measure(index, *, waste_percent):
    """Return what pgstatindex says of an index of which this much is waste."""
    pages = index["bytes"] // 8192
    density = index["fillfactor"] * (1 - waste_percent / 100)
    return {"oid": index["oid"], "bytes": index["bytes"], "leaf_pages": pages, "idle_pages": 0, "density": density}


@pytest.fixture
def pg():
    """The builders of documents."""
    numbers = itertools.count(16384)
    return SimpleNamespace(
        table=lambda relation="public.t", **other: make_table(next(numbers), relation, **other),
        index=lambda table, name="i", **other: make_index(next(numbers), table["oid"], name, **other),
        database=make_database,
        measure=make_measure,
        server=FakeServer,
    )


class FakeServer:
    """Stands for psql and the server behind it: keeps one document, does what it is told, and fails where it is told to."""

    def __init__(self, database, measures=None, *, extension="schema public"):
        self.database, self.measures, self.extension = database, measures or {}, extension
        self.told, self.errors, self.after = [], {}, {}
        self.sessions, self.now, self.cost = [], 0.0, 0.0

    def fail(self, statement, *errors):
        """Let ``statement`` fail once with each of ``errors``, in turn, before it works."""
        self.errors[statement] = list(errors)

    def clock(self):
        return self.now

    def json(self, _name, sql, _session):
        if "pgstatindex" in sql:
            self.told.append("measure")
            wanted = [row for oid, row in self.measures.items() if str(oid) in sql]
            return {"indexes": wanted, "tables": []}
        self.told.append("observe")
        return copy.deepcopy(self.database)

    def __call__(self, _name, sql, session):
        if "pg_available_extensions" in sql:
            return [self.extension]
        statement = next(line for line in sql.splitlines() if VERBS.match(line)).rstrip(";")
        self.told.append(statement)
        self.sessions.append(session)
        self.now += self.cost
        if self.errors.get(statement):
            self.after.get(statement, lambda: None)()
            raise self.errors[statement].pop(0)
        relation = statement.rsplit(" ", 1)[1]
        before = self.size(relation)
        self.change(statement.split(" ", 1)[0], relation)
        return [str(before), str(self.size(relation))]

    def one(self, relation):
        both = [*self.database["tables"], *self.database["indexes"]]
        return next((one for one in both if one["relation"] == relation), None)

    def size(self, relation):
        return self.one(relation)["bytes"] if self.one(relation) else 0

    def change(self, verb, relation):
        found = self.one(relation)
        if verb == "DROP":
            self.database["indexes"].remove(found)
        elif verb == "REINDEX":
            found.update(valid=True, bytes=found["bytes"] // 2)
            self.measures[found["oid"]] = make_measure(found, waste_percent=0)
        else:
            found.update(dead_rows=0, toast_dead_rows=0, modified_rows=0, analyzed=True)

    @property
    def changes(self):
        """What it was told to change."""
        return [one for one in self.told if one not in ("observe", "measure")]
