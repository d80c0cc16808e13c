# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report on indexes finds, and what it must not call useless."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_index import Limits, checks, findings, slow

MB = 1_000_000
DAY = 86400


def table(oid=1, relation="public.a", **more):
    return {
        "oid": oid,
        "relation": relation,
        "kind": "r",
        "rows": 50_000,
        "live_rows": 50_000,
        "seq_scans": 0,
        "seq_rows": 0,
        "index_scans": 5000,
        "modified_rows": 0,
        "analyzed": True,
        **more,
    }


def index(oid, columns, *, scans=10, **more):
    number = len(columns)
    return {
        "oid": oid,
        "table": 1,
        "relation": f"public.i{oid}",
        "method": "btree",
        "bytes": 10 * MB,
        "scans": scans,
        "valid": True,
        "unique": False,
        "identity": False,
        "constraint": False,
        "attached": False,
        "referenced": False,
        "clustered": False,
        "columns": columns,
        "keys": number,
        "classes": [1978] * number,
        "collations": [0] * number,
        "options": [0] * number,
        "expressions": None,
        "predicate": None,
        "builder": None,
        **more,
    }


def key(columns=(2,), names=("b",)):
    return {"name": "fk", "table": 1, "columns": list(columns), "names": list(names), "to": "public.p"}


def database(tables=None, indexes=(), keys=(), **more):
    return {
        "in_recovery": False,
        "counted_seconds": 90 * DAY,
        "freeze_max_age": 200_000_000,
        "oldest": {"relation": "public.a", "age": 1000},
        "transactions": [],
        "tables": tables or [table()],
        "indexes": list(indexes),
        "foreign_keys": list(keys),
        "sequences": [],
        **more,
    }


def found(document):
    return [(one.kind, one.relation) for one in findings(document, Limits())]


@pytest.mark.parametrize(
    ("more", "document", "expected"),
    [
        pytest.param({}, {}, True, id="no query uses it"),
        pytest.param({"scans": 1}, {}, False, id="used once"),
        pytest.param({"unique": True}, {}, False, id="it keeps rows apart"),
        pytest.param({"constraint": True}, {}, False, id="a constraint needs it"),
        pytest.param({"identity": True}, {}, False, id="a replica needs it"),
        pytest.param({"bytes": 1000}, {}, False, id="too small for a word"),
        pytest.param({}, {"counted_seconds": DAY}, False, id="counted for a day only"),
        pytest.param({}, {"counted_seconds": None}, True, id="counted from the beginning on"),
        pytest.param({}, {"tables": [table(index_scans=3)]}, False, id="nobody uses the table"),
        pytest.param({}, {"keys": [key()]}, False, id="it serves a foreign key"),
    ],
)
def test_an_index_is_unused_only_when_nothing_needs_it(more, document, expected):
    one = index(7, [2], **{"scans": 0, **more})
    assert (("unused", "public.i7") in found(database(indexes=[one], **document))) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(index(7, [2]), index(8, [2]), ["public.i8"], id="twice the same: the younger goes"),
        pytest.param(index(7, [2]), index(8, [2, 3]), ["public.i7"], id="the beginning of another"),
        pytest.param(index(7, [3]), index(8, [2, 3]), [], id="the end of another"),
        pytest.param(index(7, [2], predicate="x"), index(8, [2]), [], id="of some rows only"),
        pytest.param(index(7, [2], unique=True), index(8, [2]), ["public.i8"], id="the unique one stays"),
        pytest.param(index(7, [2], unique=True), index(8, [2, 3]), [], id="a unique beginning keeps rows apart"),
        pytest.param(index(7, [2], constraint=True), index(8, [2]), ["public.i8"], id="that of a constraint stays"),
        pytest.param(index(7, [2], constraint=True), index(8, [2], constraint=True), [], id="both are needed"),
        pytest.param(index(7, [2], options=[3]), index(8, [2]), [], id="in another order"),
        pytest.param(index(7, [2], valid=False), index(8, [2]), [], id="an invalid one covers nothing"),
    ],
)
def test_an_index_is_a_duplicate_only_beside_one_that_does_all_that_it_does(first, second, expected):
    told = [one.relation for one in findings(database(indexes=[first, second]), Limits()) if one.kind == "duplicate"]
    assert told == expected


def test_of_three_alike_one_stays():
    same = [index(oid, [2]) for oid in (7, 8, 9)]
    assert found(database(indexes=same)) == [("duplicate", "public.i9"), ("duplicate", "public.i8")]


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        pytest.param([], True, id="none"),
        pytest.param([index(7, [2])], False, id="one of its own"),
        pytest.param([index(7, [2, 3])], False, id="one that begins with it"),
        pytest.param([index(7, [3, 2])], True, id="one that ends with it"),
        pytest.param([index(7, [2], predicate="x")], True, id="one of some rows only"),
        pytest.param([index(7, [2], valid=False)], True, id="an invalid one"),
    ],
)
def test_a_foreign_key_needs_an_index_that_begins_with_it(indexes, expected):
    told = [one for one in findings(database(indexes=indexes, keys=[key()]), Limits()) if one.kind == "missing"]
    assert [one.sql for one in told] == (['CREATE INDEX CONCURRENTLY ON public.a ("b");'] if expected else [])


def test_an_invalid_index_is_told_unless_it_is_being_made():
    assert found(database(indexes=[index(7, [2], valid=False)])) == [("invalid", "public.i7")]
    assert found(database(indexes=[index(7, [2], valid=False, builder=4711)])) == []


def test_a_large_table_that_is_read_whole_again_and_again_is_told():
    often = table(rows=10**6, live_rows=10**6, seq_scans=500, seq_rows=500 * 10**6, index_scans=1000)
    seldom = table(rows=10**6, live_rows=10**6, seq_scans=5, seq_rows=5 * 10**6)
    assert found(database([often])) == [("sequential_scans", "public.a")]
    assert found(database([seldom])) == []


def told(document):
    return {one["id"]: one for one in checks("shop", document, findings(document, Limits()), Limits())}


def test_every_check_is_there_whatever_was_found():
    assert list(told(database())) == [
        "pg_indexes_unused:shop",
        "pg_indexes_duplicate:shop",
        "pg_indexes_missing:shop",
        "pg_sequential_scans:shop",
        "pg_indexes_invalid:shop",
        "pg_statistics:shop",
        "pg_freeze_table:shop",
        "pg_sequences:shop",
        "pg_transactions:shop",
    ]


def test_whether_an_index_is_used_is_unknown_soon_after_the_counters_were_reset():
    assert told(database(counted_seconds=DAY))["pg_indexes_unused:shop"]["status"] == "unknown"


def test_the_sequence_nearest_its_end_is_told():
    sequences = [
        {"relation": "public.s", "type": "integer", "percent": 93.1, "left": 1000},
        {"relation": "public.t", "type": None, "percent": 1.0, "left": 10**18},
    ]
    check = told(database(sequences=sequences))["pg_sequences:shop"]
    assert (check["status"], check["value"]) == ("critical", 93.1)
    assert check["detail"] == "public.s, 1000 are left for integer"


def test_the_slowest_statement_is_told_and_unknown_where_none_is_counted():
    once = {"query": "COPY ...", "calls": 1, "mean_ms": 9000.0}
    first = {"query": "SELECT ...", "calls": 70, "mean_ms": 1500.0}
    check = slow("shop", {"statements": {"available": True, "reason": None}, "slowest_statements": [once, first]}, 1000)
    assert (check["status"], check["value"], check["detail"]) == ("warning", 1500.0, "70 calls: SELECT ...")

    silent = {"statements": {"available": False, "reason": "the extension is not created"}, "slowest_statements": []}
    assert slow("shop", silent, 1000)["status"] == "unknown"
