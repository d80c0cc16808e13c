# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan is carried out within its budget, and what goes wrong with one relation stays with that relation."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg import CANCELED, DISK_FULL, LOCK_NOT_AVAILABLE, PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_disk import free_here
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import Thresholds
from ansible_collections.runbook.ops.plugins.module_utils._pg_maintenance import (
    EXCLUSIVE_LOCK_SECONDS,
    Budget,
    Maintenance,
    gave_up,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_plan import Action

BIG = 20_000_000
NO_LOCK = PgError("no lock", code=LOCK_NOT_AVAILABLE)
REINDEX_I, DROP_LEFT = "REINDEX INDEX CONCURRENTLY public.i", "DROP INDEX CONCURRENTLY IF EXISTS public.i_ccnew"


def maintenance(server, **budget):
    patience = {"total": 3600, "lock_timeout": 5, "lock_attempts": 3, "wait_for_others": 0, "held_limit": 60, "jobs": 1}
    limits = Thresholds(full_vacuum=budget.pop("full_vacuum", False))
    return Maintenance(server, run="r1", limits=limits, budget=Budget(**{**patience, **budget}), clock=server.clock)


def carry_out(server, **budget):
    """Return (action, relation, status, message) for each action of a whole run."""
    one = maintenance(server, **budget)
    database, actions = one.plan("shop")
    _after, done = one.maintain("shop", database, actions)
    return [(action.action, action.relation, action.status, action.message) for action in done]


@pytest.fixture
def sick(pg):
    """A server with two tables to vacuum and one index to rebuild, which nothing but a measure shows."""
    dead = {"live_rows": 80_000, "dead_rows": 20_000}
    first, second = pg.table("public.a", bytes=60_000_000, **dead), pg.table("public.b", **dead)
    third = pg.table("public.c")
    index = pg.index(third, "i", bytes=BIG, definition="d")
    measures = {index["oid"]: pg.measure(index, waste_percent=60)}
    return pg.server(pg.database([first, second, third], [index]), measures)


def break_off(sick):
    """Let each rebuild that fails leave its half-made index."""

    def leave():
        index = sick.one("public.i")
        sick.database["indexes"].append(
            {**index, "oid": 99_999, "relation": "public.i_ccnew", "name": "i_ccnew", "valid": False}
        )

    sick.after[REINDEX_I] = leave


def test_all_that_is_due_is_done_and_the_next_plan_is_empty(sick):
    assert carry_out(sick) == [
        ("vacuum", "public.a", "done", None),
        ("vacuum", "public.b", "done", None),
        ("reindex", "public.i", "done", None),
    ]
    assert maintenance(sick).plan("shop")[1] == []


def test_looking_changes_nothing(sick):
    _database, actions = maintenance(sick).plan("shop")
    assert len(actions) == 3
    assert sick.changes == []


def test_what_does_not_fit_into_the_budget_is_left_out_with_the_figures(sick):
    sick.cost = 100
    assert carry_out(sick, total=120)[1:] == [
        ("vacuum", "public.b", "skipped", "expected to take 83 s, 20 s of the time budget are left"),
        ("reindex", "public.i", "done", None),  # nothing of its kind was timed yet: it is expected to be quick
    ]


def test_a_budget_that_is_used_up_leaves_everything_out(sick):
    sick.cost = 100
    assert [status for _action, _relation, status, _message in carry_out(sick, total=100)] == [
        "done",
        "skipped",
        "skipped",
    ]


def test_no_statement_may_run_past_the_budget(sick):
    sick.cost = 10
    carry_out(sick, total=100)
    assert [session.statement_timeout for session in sick.sessions] == [100, 90, 80]


def test_a_lock_is_tried_again_and_then_given_up(sick):
    sick.fail("VACUUM (ANALYZE) public.a", NO_LOCK, NO_LOCK)
    sick.fail("VACUUM (ANALYZE) public.b", NO_LOCK, NO_LOCK, NO_LOCK)
    assert carry_out(sick) == [
        ("vacuum", "public.a", "done", None),
        ("vacuum", "public.b", "failed", "no lock"),
        ("reindex", "public.i", "done", None),
    ]
    assert sick.changes.count("VACUUM (ANALYZE) public.a") == 3
    assert sick.changes.count("VACUUM (ANALYZE) public.b") == 3


def test_another_error_is_not_tried_again_and_the_others_go_on(sick):
    sick.fail("VACUUM (ANALYZE) public.a", PgError("it is gone", code="42P01"))
    assert [status for _action, _relation, status, _message in carry_out(sick)] == ["failed", "done", "done"]
    assert sick.changes.count("VACUUM (ANALYZE) public.a") == 1


def test_a_rebuild_that_breaks_off_clears_what_it_left_before_it_is_tried_again(sick):
    break_off(sick)
    sick.fail(REINDEX_I, NO_LOCK)
    assert carry_out(sick)[-1] == ("reindex", "public.i", "done", None)
    assert sick.changes[-3:] == [REINDEX_I, DROP_LEFT, REINDEX_I]
    assert sick.one("public.i_ccnew") is None


def test_where_even_that_fails_it_is_said_and_the_others_go_on(sick):
    break_off(sick)
    sick.fail(REINDEX_I, NO_LOCK)
    sick.fail(DROP_LEFT, NO_LOCK)
    message = "no lock; what it left could not be removed (no lock), the next run will try again"
    assert carry_out(sick)[-1] == ("reindex", "public.i", "failed", message)
    assert sick.changes.count(REINDEX_I) == 1


def test_the_next_run_removes_what_was_left_before_anything_else(sick):
    break_off(sick)
    sick.after[REINDEX_I]()
    assert carry_out(sick)[0] == ("drop_index", "public.i_ccnew", "done", None)


@pytest.mark.parametrize("code", [DISK_FULL, "08000", "57P01"], ids=["disk full", "connection lost", "server stopped"])
def test_after_a_full_disk_or_a_lost_server_nothing_more_is_built(sick, code):
    sick.fail("VACUUM (ANALYZE) public.b", PgError("no more", code=code))
    assert carry_out(sick)[1:] == [
        ("vacuum", "public.b", "failed", "no more"),
        ("reindex", "public.i", "skipped", "not tried after vacuum of public.b failed"),
    ]


def test_a_statement_that_the_budget_cut_off_says_so(sick):
    sick.fail("VACUUM (ANALYZE) public.a", PgError("cancelled", code=CANCELED))
    sick.cost = 100
    assert carry_out(sick, total=100)[0] == ("vacuum", "public.a", "failed", "cancelled (the time budget was used up)")


def test_a_rebuild_that_would_wait_for_an_open_transaction_is_left_out_with_its_name(pg):
    table = pg.table()
    index = pg.index(table, bytes=BIG)
    server = pg.server(pg.database([table], [index]), {index["oid"]: pg.measure(index, waste_percent=60)})
    one = maintenance(server)
    _database, (action,) = one.plan("shop")
    one.psql = lambda *_: ["held: session 7 of shop"]
    (done,) = one.carry_out([action])
    assert (done.status, done.message) == (
        "skipped",
        "it would wait for session 7 of shop: end it, then run this again",
    )


def test_an_index_whose_waste_only_the_vacuum_shows_is_rebuilt_in_the_same_run(pg):
    table = pg.table(live_rows=80_000, dead_rows=20_000, cold_share=0)
    index = pg.index(table, bytes=BIG)
    server = pg.server(pg.database([table], [index]), {index["oid"]: pg.measure(index, waste_percent=10)})
    server.change = lambda verb, _relation: (
        server.measures.update({index["oid"]: pg.measure(index, waste_percent=60)}) if verb == "VACUUM" else None,
        table.update(dead_rows=0),
    )
    assert [action for action, *_ in carry_out(server)] == ["vacuum", "reindex"]


def test_such_a_late_rebuild_without_room_on_the_disk_is_left_out(sick, monkeypatch):
    index, measures = sick.one("public.i"), dict(sick.measures)
    sick.measures.clear()
    one = maintenance(sick)
    database, actions = one.plan("shop")
    sick.measures.update(measures)
    monkeypatch.setattr("os.statvfs", lambda _path: type("Disk", (), {"f_bavail": 1, "f_frsize": 4096}))
    sick.database["directories"] = {str(index["tablespace"]): "/"}
    _after, done = one.maintain("shop", database, actions)
    assert [(action.action, action.status) for action in done] == [
        ("vacuum", "done"),
        ("vacuum", "done"),
        ("reindex", "skipped"),
    ]
    assert done[-1].message.startswith("rebuilding public.i in shop needs 8.8 MB of disk, 4.1 kB are free")


def test_a_rebuild_waits_for_open_transactions_as_long_as_the_gate_before_it_lets_them_be(sick):
    carry_out(sick, lock_timeout=5, held_limit=60)
    assert [session.lock_timeout for session in sick.sessions] == [5, 5, 60]


def test_what_was_done_is_not_lost_where_nothing_can_be_seen_afterwards(sick):
    one = maintenance(sick)
    database, actions = one.plan("shop")
    looks = sick.json

    def blind(name, sql, session):
        if sick.changes:
            raise PgError("the server is gone")
        return looks(name, sql, session)

    sick.json = blind
    after, done = one.maintain("shop", database, actions)
    assert after is database
    assert [action.status for action in done] == ["done", "done", "done"]
    assert one.troubles == ["looking at shop after the maintenance failed: the server is gone"]


def test_where_the_time_is_used_up_indexes_are_not_measured_again(sick):
    sick.cost = 100
    carry_out(sick, total=100)
    assert sick.told.count("measure") == 1


@pytest.mark.parametrize(("window", "status"), [(3, "done"), (2, "skipped")], ids=["fits", "does not fit"])
def test_a_rewrite_is_begun_only_where_it_is_expected_to_end_within_its_window(pg, window, status):
    table = pg.table("public.a")
    server = pg.server(pg.database([table]))
    wanted = Action("vacuum_full", "shop", "public.a", "waste", 50_000_000, table["oid"])
    one = maintenance(server, window=window)
    (made,) = one.carry_out([wanted])
    assert made.status == status
    assert [session.statement_timeout for session in server.sessions] == ([window] if status == "done" else [])


def test_a_rewrite_waits_for_its_lock_much_shorter_than_anything_else(pg):
    table = pg.table()
    server = pg.server(pg.database([table]))
    maintenance(server).one(Action("vacuum_full", "shop", "public.t", "why", 1, table["oid"]))
    assert [session.lock_timeout for session in server.sessions] == [EXCLUSIVE_LOCK_SECONDS]


@pytest.mark.parametrize(
    ("extension", "told"),
    [("schema public", ["observe", "measure"]), ("borrow", ["observe", "measure"]), ("", ["observe"])],
    ids=["installed", "borrowed", "not to be had"],
)
def test_without_the_extension_the_estimate_decides(sick, extension, told):
    sick.extension = extension
    _database, actions = maintenance(sick).plan("shop")
    assert sick.told == told
    assert [action.measured for action in actions if action.action == "reindex"] == [extension != ""]


def test_healthy_indexes_are_not_even_measured(pg):
    table = pg.table()
    server = pg.server(pg.database([table], [pg.index(table)]))
    maintenance(server).plan("shop")
    assert server.told == ["observe"]


def test_a_run_beside_another_is_refused(sick):
    sick.database["runs"] = [{"pid": 7, "application": "runbook.ops pg_maintenance x", "seconds": 12.4}]
    with pytest.raises(PgError, match=r"another maintenance works on database shop \(session 7, for 12 s\)"):
        maintenance(sick).plan("shop")


def test_a_standby_is_refused(sick):
    sick.database["in_recovery"] = True
    with pytest.raises(PgError, match="on a standby, which takes no maintenance: run this on its primary"):
        maintenance(sick).plan("shop")


def test_a_rebuild_without_room_on_the_disk_is_refused_before_anything_is_changed(sick, monkeypatch):
    monkeypatch.setattr("os.statvfs", lambda _path: type("Disk", (), {"f_bavail": 1, "f_frsize": 4096}))
    sick.database["directories"] = {"1663": "/"}
    with pytest.raises(PgError, match=r"rebuilding public.i in shop needs 8\.8 MB of disk, 4\.1 kB are free"):
        maintenance(sick).plan("shop")
    assert sick.changes == []


def test_the_disk_of_another_host_is_not_judged():
    assert free_here({"1663": "/no/such/directory", "16400": None}) == {}


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        (["done", "skipped"], None),
        (["done", "failed"], "vacuum of public.t1 in shop failed: no lock"),
        (["failed", "failed", "failed"], "vacuum of public.t0 in shop failed: no lock (and 2 more)"),
    ],
    ids=["none", "one", "three"],
)
def test_what_failed_becomes_one_line(statuses, line):
    actions = [
        Action("vacuum", "shop", f"public.t{number}", "why", 1, number, status=status, message="no lock")
        for number, status in enumerate(statuses)
    ]
    assert gave_up(actions) == line
