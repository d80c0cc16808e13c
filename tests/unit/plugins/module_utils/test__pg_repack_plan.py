# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables are written anew, and what keeps one from it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack_plan import (
    Limits,
    budgeted,
    checks,
    lack_of_room,
    not_installed,
    plan,
    smallest_bytes,
)

MB = 1_000_000
PAGE = 8192


def table(oid=1, relation="public.a", *, mb=100, **more):
    return {
        "oid": oid,
        "relation": relation,
        "file": oid,
        "toast": 0,
        "bytes": mb * MB,
        "toast_bytes": 0,
        "total_bytes": mb * MB,
        "tablespace": 1663,
        "owned": True,
        "live_rows": 100,
        "dead_rows": 0,
        "fillfactor": 100,
        "keyed": True,
        **more,
    }


def measure(of, waste_percent):
    """Return pgstattuple's figures for a table of which so much is waste. A page holds 80 rows of 96 bytes."""
    rows = of["bytes"] * (100 - waste_percent) / 100 / PAGE * 81
    return {"bytes": of["bytes"], "rows": rows, "row_bytes": rows * 96, "dead_rows": 0}


def database(*tables, runs=(), leftovers=()):
    return {"block_size": PAGE, "tables": list(tables), "runs": list(runs), "leftovers": list(leftovers)}


LEFT = {"oid": 1, "relation": "public.a", "parts": ["log", "pk", "table", "trigger"], "bytes": 5 * MB}


@pytest.mark.parametrize(
    ("waste", "mb", "expected"),
    [
        pytest.param(60, 100, True, id="mostly waste"),
        pytest.param(16, 100, True, id="above the share"),
        pytest.param(14, 100, False, id="below the share"),
        pytest.param(60, 1, False, id="too small to be worth it"),
    ],
)
def test_only_what_is_beyond_both_limits_is_written_anew(waste, mb, expected):
    one = table(mb=mb)
    assert bool(plan("shop", database(one), {1: measure(one, waste)}, Limits())) is expected


def test_tables_with_most_waste_come_first():
    small, large = table(1, "public.small", mb=50), table(2, "public.large", mb=500)
    steps = plan("shop", database(small, large), {1: measure(small, 50), 2: measure(large, 50)}, Limits())
    assert [step.relation for step in steps] == ["public.large", "public.small"]


def test_wide_rows_that_leave_room_in_each_page_are_no_waste():
    # Three rows of 2 400 bytes fill a page; the rest of it can hold no fourth.
    full = {"bytes": 1000 * PAGE, "rows": 3000, "row_bytes": 3000 * 2400}
    assert smallest_bytes(full, block_size=PAGE, fillfactor=100) == 1000 * PAGE


def test_a_table_without_a_measure_is_judged_by_its_dead_rows():
    (step,) = plan("shop", database(table(live_rows=50, dead_rows=50)), None, Limits())
    assert (step.waste_bytes, step.measured) == (50 * MB, False)
    assert "by estimate" in step.reason


def test_what_is_left_over_goes_first_and_what_belongs_to_a_run_stays():
    one = table()
    steps = plan("shop", database(one, leftovers=[LEFT]), {1: measure(one, 60)}, Limits())
    assert [(step.action, step.status) for step in steps] == [("clean", "planned"), ("repack", "planned")]

    busy = database(one, leftovers=[LEFT], runs=[{"oid": 1, "pid": 4711, "seconds": 9}])
    (step,) = plan("shop", busy, {1: measure(one, 60)}, Limits())
    assert (step.action, step.status) == ("repack", "skipped")
    assert step.message == "session 4711 repacks it already, for 9 s"


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        pytest.param({"keyed": False}, "pg_repack needs a primary key", id="no key"),
        pytest.param({"owned": False}, "the role does not own it", id="not its owner"),
    ],
)
def test_a_table_that_cannot_be_written_anew_is_told_and_left(lacking, expected):
    one = table(**lacking)
    (step,) = plan("shop", database(one), {1: measure(one, 60)}, Limits())
    assert step.status == "skipped"
    assert expected in step.message


def steps_of(*sizes):
    tables = [table(oid, f"public.t{oid}", mb=mb) for oid, mb in enumerate(sizes, start=1)]
    return plan("shop", database(*tables), {one["oid"]: measure(one, 50) for one in tables}, Limits())


def test_what_does_not_fit_into_the_bytes_of_a_run_is_left_and_smaller_ones_take_its_place():
    result = budgeted(steps_of(300, 200, 50), Limits(byte_budget=360 * MB), {}, None)
    assert [step.status for step in result] == ["planned", "skipped", "planned"]
    assert "do not fit into what is left of byte_budget (60 MB)" in result[1].message


@pytest.mark.parametrize(
    ("free", "wal", "fits"),
    [
        pytest.param({1663: 120 * MB}, 1663, True, id="room for the copy and its WAL"),
        pytest.param({1663: 80 * MB}, 1663, False, id="room for the copy only"),
        pytest.param({1663: 80 * MB}, 99, True, id="the WAL is elsewhere"),
        pytest.param({}, 1663, True, id="nobody knows"),
    ],
)
def test_the_copy_must_fit_beside_the_table(free, wal, fits):
    (step,) = steps_of(100)
    assert (lack_of_room(step, free, wal) is None) is fits


def test_copies_that_are_written_side_by_side_must_fit_together():
    # Each needs 110 MB with its WAL.
    one_by_one = budgeted(steps_of(100, 100, 100), Limits(), {1663: 200 * MB}, 1663, jobs=1)
    assert [step.status for step in one_by_one] == ["planned"] * 3
    two = budgeted(steps_of(100, 100, 40), Limits(), {1663: 200 * MB}, 1663, jobs=2)
    assert [step.status for step in two] == ["planned", "skipped", "planned"]
    assert "of disk, and what is written beside it 110 MB, 200 MB are free: make room" in two[1].message


def test_the_wal_must_fit_where_it_lies():
    (step,) = steps_of(100)
    assert "its WAL needs 55" in lack_of_room(step, {1663: 80 * MB, 99: 50 * MB}, 99)


@pytest.mark.parametrize(
    ("available", "installed", "client", "expected"),
    [
        pytest.param(None, None, None, "apt-get install postgresql-15-repack", id="nothing is there"),
        pytest.param("1.4.8", None, "1.4.8", "CREATE EXTENSION pg_repack in shop", id="not created"),
        pytest.param("1.4.8", "1.4.8", None, "install the program pg_repack here", id="no program"),
        pytest.param(
            "1.4.8", "1.4.7", "1.4.8", "the program is 1.4.8 and the extension in shop is 1.4.7", id="two versions"
        ),
        pytest.param("1.4.8", "1.4.8", "1.4.8", None, id="ready"),
    ],
)
def test_what_is_missing_of_pg_repack_is_told(available, installed, client, expected):
    told = not_installed({"version": 150020, "available": available, "installed": installed}, client, "shop")
    assert told is None if expected is None else expected in told


def test_without_pg_repack_the_check_says_what_it_would_give_back_and_what_to_install():
    waste, left = checks("shop", steps_of(100), [], "install it")
    assert (waste["id"], waste["status"]) == ("pg_table_waste:shop", "warning")
    assert waste["value"] == pytest.approx(50 * MB, rel=0.02)
    assert "it is not ready" in waste["detail"]
    assert waste["remedy"].startswith("install it. Without it, in a window: VACUUM (FULL, ANALYZE) public.t1")
    assert left["status"] == "ok"
