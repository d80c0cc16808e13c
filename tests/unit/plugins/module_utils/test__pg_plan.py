# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is beyond a threshold is acted on, what is below is not touched, and a second plan is empty."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import Thresholds
from ansible_collections.runbook.ops.plugins.module_utils._pg_plan import Action, candidates, checks, lack_of_room, plan

LIMITS = Thresholds()
BIG = 20_000_000


def decide(tables=(), indexes=(), measures=None, limits=LIMITS, **database):
    """Return (action, relation, status) of each action of the plan."""
    actions = planned(tables, indexes, measures, limits, **database)
    return [(one.action, one.relation, one.status) for one in actions]


def planned(tables=(), indexes=(), measures=None, limits=LIMITS, **database):
    from_builder = {"version": 150000, "block_size": 8192, "holders": [], **database}
    document = {"freeze_max_age": 200_000_000, "multixact_freeze_max_age": 400_000_000, **from_builder}
    return plan("shop", {**document, "tables": list(tables), "indexes": list(indexes)}, measures, limits)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        pytest.param({}, None, id="healthy"),
        pytest.param({"live_rows": 90_000, "dead_rows": 10_000}, "vacuum", id="10 % dead"),
        pytest.param({"live_rows": 90_100, "dead_rows": 9_900}, None, id="9.9 % dead"),
        pytest.param({"live_rows": 10, "dead_rows": 999}, None, id="999 dead rows, whatever the share"),
        pytest.param({"live_rows": 10, "dead_rows": 1000}, "vacuum", id="1000 dead rows"),
        pytest.param({"toast_live_rows": 0, "toast_dead_rows": 1000}, "vacuum", id="dead rows in TOAST"),
        pytest.param({"xid_age": 160_000_000}, "vacuum", id="80 % of the freeze age"),
        pytest.param({"xid_age": 159_000_000}, None, id="79 % of the freeze age"),
        pytest.param({"multixact_age": 320_000_000}, "vacuum", id="multixacts near their freeze age"),
        pytest.param({"modified_rows": 10_000}, "analyze", id="10 % changed"),
        pytest.param({"modified_rows": 9_999}, None, id="below 10 % changed"),
        pytest.param({"modified_rows": 999, "live_rows": 10}, None, id="999 changed rows"),
        pytest.param({"modified_rows": 1000, "analyzed": False}, "analyze", id="never analyzed"),
        pytest.param({"modified_rows": 50_000, "dead_rows": 50_000}, "vacuum", id="a vacuum analyzes too"),
        pytest.param(
            {"kind": "p", "modified_rows": 50_000, "dead_rows": 50_000}, None, id="a partitioned table has no rows"
        ),
        pytest.param({"kind": "m", "dead_rows": 50_000}, "vacuum", id="a materialised view has"),
    ],
)
def test_a_table_is_touched_from_its_threshold_on(pg, facts, action):
    table = pg.table(**facts)
    assert decide([table]) == ([] if action is None else [(action, "public.t", "planned")])


def test_near_the_freeze_age_the_vacuum_freezes_and_names_the_setting(pg):
    (action,) = planned([pg.table(multixact_age=390_000_000)])
    assert action.sql == "VACUUM (ANALYZE, FREEZE) public.t"
    assert action.reason == "freeze age is 98 % of autovacuum_multixact_freeze_max_age (limit 80 %)"


@pytest.mark.parametrize(
    ("facts", "waste", "rebuilt"),
    [
        pytest.param({"bytes": 2500 * 8192}, 40, True, id="40 % waste"),
        pytest.param({"bytes": 2500 * 8192}, 39, False, id="39 % waste"),
        pytest.param({"bytes": 2_400_000, "rows": 10_000}, 41, False, id="waste below 1 MB"),
        pytest.param({"method": "gin"}, 90, False, id="not a B-tree"),
        pytest.param({"exclusion": True}, 90, False, id="exclusion constraint"),
        pytest.param({"relation": "pg_toast.pg_toast_1_index"}, 90, False, id="index of a TOAST table"),
        pytest.param({"bytes": 2_260_992}, 90, False, id="as small as a fresh build: not even measured"),
    ],
)
def test_an_index_is_rebuilt_from_its_threshold_on(pg, facts, waste, rebuilt):
    table = pg.table()
    index = pg.index(table, **{"bytes": BIG, **facts})
    measures = {index["oid"]: pg.measure(index, waste_percent=waste)}
    assert decide([table], [index], measures) == ([("reindex", index["relation"], "planned")] if rebuilt else [])


@pytest.mark.parametrize(("size", "rebuilt"), [(8_000_000, True), (7_000_000, False)], ids=["above 70 %", "below 70 %"])
def test_without_a_measure_the_estimate_must_be_surer(pg, size, rebuilt):
    table = pg.table()
    actions = planned([table], [pg.index(table, bytes=size)], None)
    assert [(one.action, one.measured) for one in actions] == ([("reindex", False)] if rebuilt else [])


def test_an_index_of_which_nothing_is_known_is_measured_or_left_alone(pg):
    table = pg.table()
    index = pg.index(
        table, bytes=BIG, columns=[{"width": None, "fixed": False, "distinct": None, "null_fraction": 0, "align": 4}]
    )
    assert candidates(pg.database([table], [index]), LIMITS) == [index["oid"]]
    assert decide([table], [index], None) == []


def test_an_index_that_was_not_measured_although_others_were_is_left_alone(pg):
    table = pg.table()
    assert decide([table], [pg.index(table, bytes=BIG)], {}) == []


def test_what_the_vacuum_before_it_empties_counts_as_waste(pg):
    table = pg.table(live_rows=60_000, dead_rows=40_000)
    index = pg.index(table, bytes=BIG)
    measures = {index["oid"]: pg.measure(index, waste_percent=10)}
    assert decide([table], [index], measures) == [
        ("vacuum", "public.t", "planned"),
        ("reindex", "public.i", "planned"),
    ]
    table["cold_share"] = 0  # all of them HOT updates, which leave no entry
    assert decide([table], [index], measures) == [("vacuum", "public.t", "planned")]


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        pytest.param({"name": "i_ccnew", "definition": "d"}, ("drop_index", "planned"), id="_ccnew of a valid index"),
        pytest.param({"name": "i_ccold3", "definition": "d"}, ("drop_index", "planned"), id="_ccold, counted"),
        pytest.param({"name": "i_ccnew", "definition": "e"}, ("reindex", "planned"), id="that name, yet of no index"),
        pytest.param(
            {"name": "broken", "definition": "d"}, ("reindex", "planned"), id="failed CREATE INDEX CONCURRENTLY"
        ),
        pytest.param({"name": "x_ccnew", "definition": "d", "builder": 7}, None, id="somebody builds it right now"),
        pytest.param(
            {"name": "x_ccnew", "definition": "d", "may_drop": False}, ("drop_index", "skipped"), id="of somebody else"
        ),
        pytest.param(
            {"name": "broken", "definition": "d", "may_reindex": False}, ("reindex", "skipped"), id="may not rebuild"
        ),
        pytest.param({"name": "broken", "definition": "d", "exclusion": True}, ("reindex", "skipped"), id="exclusion"),
    ],
)
def test_invalid_indexes_are_removed_or_rebuilt(pg, facts, decision):
    table = pg.table()
    good = pg.index(table, definition="d")
    bad = pg.index(table, **{"valid": False, "relation": "public.bad", **facts})
    found = [(action, status) for action, relation, status in decide([table], [good, bad]) if relation == "public.bad"]
    assert found == ([] if decision is None else [decision])


def test_what_a_failed_rebuild_of_an_invalid_index_left_is_removed_too(pg):
    table = pg.table()
    broken = pg.index(table, "u", valid=False, definition="d")
    left = pg.index(table, "u_ccnew", valid=False, definition="d")
    assert decide([table], [broken, left]) == [
        ("drop_index", "public.u_ccnew", "planned"),
        ("reindex", "public.u", "planned"),
    ]


def test_dead_rows_that_somebody_keeps_are_left_out_with_his_name(pg):
    table = pg.table(dead_rows=50_000, vacuumed_at=2000.0)
    holder = {"what": "session 7 of shop", "xid_age": 5, "since": 1000.0}
    (action,) = planned([table], holders=[holder])
    assert action.status == "skipped"
    assert action.message == "the last vacuum could not remove them, they are kept by session 7 of shop: end it first"
    (action,) = planned([table], holders=[{**holder, "since": 3000.0}])
    assert action.status == "planned"


def test_a_standby_that_says_what_it_reads_keeps_nobody_from_vacuuming(pg):
    table = pg.table(dead_rows=50_000, vacuumed_at=2000.0)
    slot = {"what": "replication slot 'standby'", "xid_age": 0, "since": None}
    assert decide([table], holders=[slot]) == [("vacuum", "public.t", "planned")]


def test_a_freeze_that_somebody_holds_back_is_left_out_and_dead_rows_are_not(pg):
    holder = {"what": "session 7 of shop", "xid_age": 170_000_000, "since": 3000.0}
    old = {"xid_age": 170_000_000, "vacuumed_at": 2000.0}
    (action,) = planned([pg.table(**old)], holders=[holder])
    assert (action.status, action.message) == (
        "skipped",
        "no vacuum can freeze what session 7 of shop may still see: end it first",
    )
    (action,) = planned([pg.table(**old, dead_rows=50_000)], holders=[holder])
    assert (action.status, action.sql) == ("planned", "VACUUM (ANALYZE) public.t")
    (action,) = planned([pg.table(**old)], holders=[{**holder, "xid_age": 159_000_000}])
    assert (action.status, action.sql) == ("planned", "VACUUM (ANALYZE, FREEZE) public.t")


@pytest.mark.parametrize(
    ("analyzed", "modified", "decisions"),
    [
        pytest.param(True, 0, [], id="nothing changed"),
        pytest.param(True, 4_000, [("analyze", "public.p1", "planned")], id="much of one part, little of the whole"),
        pytest.param(True, 40_000, [("analyze", "public.p", "planned")], id="much of the whole, once"),
        pytest.param(False, 0, [("analyze", "public.p", "planned")], id="never as a whole"),
    ],
)
def test_a_partitioned_table_is_analyzed_as_a_whole_because_autovacuum_never_does(pg, analyzed, modified, decisions):
    root = pg.table("public.p", kind="p", bytes=0, live_rows=0, analyzed=analyzed)
    middle = pg.table("public.m", kind="p", bytes=0, live_rows=0, partition=True, analyzed=False)
    first = pg.table("public.p1", parent=root["oid"], live_rows=40_000, modified_rows=modified)
    second = pg.table("public.p2", parent=root["oid"], live_rows=60_000)
    assert decide([root, middle, first, second]) == decisions


def test_what_the_role_may_not_do_is_left_out_and_said(pg):
    (action,) = planned([pg.table(dead_rows=50_000, may_vacuum=False)])
    assert (action.status, action.message) == (
        "skipped",
        "the role owns neither the table nor the database: run as the owner or a superuser",
    )


@pytest.mark.parametrize(
    ("limits", "facts", "action"),
    [
        pytest.param({}, {"waste_bytes": 40_000_000}, None, id="not asked for"),
        pytest.param({"full_vacuum": True}, {"waste_bytes": 25_000_000}, "vacuum_full", id="half of it waste"),
        pytest.param({"full_vacuum": True}, {"waste_bytes": 24_000_000}, None, id="less than half"),
        pytest.param({"full_vacuum": True}, {"waste_bytes": 9_000_000, "bytes": 15_000_000}, None, id="too small"),
        pytest.param({"full_vacuum": True}, {"waste_bytes": None}, None, id="not measured"),
    ],
)
def test_a_table_is_rewritten_only_where_that_was_asked_for(pg, limits, facts, action):
    found = planned([pg.table(**facts)], limits=Thresholds(**limits))
    assert [one.action for one in found] == ([] if action is None else [action])


def test_a_rewrite_makes_the_indexes_anew_so_that_they_are_not_rebuilt_again(pg):
    table = pg.table(waste_bytes=40_000_000)
    index = pg.index(table, bytes=BIG)
    measures = {index["oid"]: pg.measure(index, waste_percent=60)}
    limits = Thresholds(full_vacuum=True)
    assert [one.action for one in planned([table], [index], measures, limits)] == ["vacuum_full"]


def test_actions_come_in_their_order_and_the_largest_first(pg):
    small, large = pg.table("public.a", dead_rows=50_000), pg.table("public.b", dead_rows=50_000, bytes=60_000_000)
    stale = pg.table("public.c", modified_rows=50_000)
    broken = pg.index(stale, "broken", valid=False)
    assert [(action, relation) for action, relation, _ in decide([small, stale, large], [broken])] == [
        ("vacuum", "public.b"),
        ("vacuum", "public.a"),
        ("analyze", "public.c"),
        ("reindex", "public.broken"),
    ]


def test_a_rebuild_that_does_not_fit_on_its_disk_is_told_in_numbers():
    action = Action("reindex", "shop", "public.i", "why", 10_000_000, 1, waste_bytes=4_000_000, tablespace=5)
    assert lack_of_room(action, {5: 6_600_000}) is None
    assert lack_of_room(action, {}) is None
    assert lack_of_room(replace(action, status="skipped"), {5: 0}) is None
    assert lack_of_room(action, {5: 6_500_000}) == (
        "rebuilding public.i in shop needs 6.6 MB of disk, 6.5 MB are free: make room, or raise index_waste_percent for this run"
    )


@pytest.mark.parametrize(
    ("facts", "actions", "statuses"),
    [
        pytest.param({}, [], ("ok", "ok", "ok"), id="all is well"),
        pytest.param({"database_freeze_age": 170_000_000}, [], ("warning", "ok", "ok"), id="old"),
        pytest.param({"database_freeze_age": 200_000_000}, [], ("critical", "ok", "ok"), id="too old"),
        pytest.param({}, ["skipped"], ("ok", "ok", "warning"), id="something was left out"),
        pytest.param({}, ["skipped", "failed"], ("ok", "ok", "critical"), id="something failed"),
    ],
)
def test_checks_say_what_people_should_know(pg, facts, actions, statuses):
    made = [Action("reindex", "shop", "public.i", "", 1, 1, status=status, message="m") for status in actions]
    found = checks("shop", pg.database(**facts), made, LIMITS)
    assert tuple(one["status"] for one in found) == statuses
    assert [one["id"] for one in found] == ["pg_freeze_age:shop", "pg_invalid_indexes:shop", "pg_maintenance:shop"]


def test_an_invalid_index_that_nobody_builds_is_a_warning_with_its_name(pg):
    table = pg.table()
    database = pg.database([table], [pg.index(table, "a", valid=False), pg.index(table, "b", valid=False, builder=7)])
    check = checks("shop", database, [], LIMITS)[1]
    assert (check["status"], check["value"], check["detail"]) == ("warning", 1, "public.a")


def random_database(chance, pg):
    """Return a database in any state, and what pgstatindex would say of its indexes."""
    tables, indexes, measures = [], [], {}
    for number in range(chance.randint(0, 6)):
        live, dead = chance.choice([0, 500, 100_000]), chance.choice([0, 900, 5_000, 200_000])
        facts = {"live_rows": live, "dead_rows": dead, "modified_rows": chance.choice([0, 900, 90_000])}
        ages = {"xid_age": chance.choice([0, 190_000_000]), "multixact_age": chance.choice([0, 390_000_000])}
        toast = {"toast_dead_rows": chance.choice([0, 5_000]), "cold_share": chance.random()}
        table = pg.table(
            f"public.t{number}", kind=chance.choice("rmp"), analyzed=chance.random() < 0.5, **facts, **ages, **toast
        )
        tables.append(table)
        for _ in range(chance.randint(0, 3)):
            name = f"t{number}_{len(indexes)}{chance.choice(['', '_ccnew', '_ccold1'])}"
            index = pg.index(table, name, bytes=chance.choice([8192, 2_000_000, BIG]), valid=chance.random() < 0.7)
            index["definition"] = chance.choice(["d", "e"]) + str(number)
            measures[index["oid"]] = pg.measure(index, waste_percent=chance.uniform(0, 100))
            indexes.append(index)
    return pg.database(tables, indexes), measures


def carried_out(database, measures, actions):
    """Return the database and the measures as they are once ``actions`` have been carried out."""
    database, measures = copy.deepcopy(database), copy.deepcopy(measures)
    for action in actions:
        for table in database["tables"]:
            if table["oid"] == action.oid and action.action == "vacuum":
                shares = {index["oid"] for index in database["indexes"] if index["table"] == table["oid"]}
                dead = table["cold_share"] * table["dead_rows"] / max(1, table["live_rows"] + table["dead_rows"])
                for oid in shares & set(measures):
                    measures[oid]["density"] *= 1 - dead
                table.update(dead_rows=0, toast_dead_rows=0)
                if "FREEZE" in action.sql:
                    table.update(xid_age=0, multixact_age=0)
            if table["oid"] == action.oid:
                table.update(modified_rows=0, analyzed=True)
        if action.action == "drop_index":
            database["indexes"] = [index for index in database["indexes"] if index["oid"] != action.oid]
        for index in database["indexes"]:
            if index["oid"] == action.oid and action.action == "reindex":
                pages = round(index["bytes"] * (1 - (action.waste_bytes or 0) / index["bytes"]) / 8192)
                index.update(valid=True, bytes=pages * 8192)
                measures[index["oid"]] = {"oid": index["oid"], "leaf_pages": pages, "idle_pages": 0, "density": 90.0}
    return database, measures


@pytest.mark.parametrize("seed", range(200))
def test_once_the_plan_is_carried_out_a_second_one_is_empty(pg, seed):
    database, measures = random_database(random.Random(seed), pg)
    rounds = 0
    while actions := plan("shop", database, measures, LIMITS):
        database, measures = carried_out(database, measures, actions)
        rounds += 1
        # A repaired index, or one whose table was vacuumed, may show its waste only then: one more look within the same run.
        assert rounds <= 2, actions
    assert all(index["valid"] for index in database["indexes"])


@pytest.mark.parametrize("seed", range(200))
def test_nothing_below_its_threshold_is_ever_touched(pg, seed):
    database, measures = random_database(random.Random(seed), pg)
    tables = {table["oid"]: table for table in database["tables"]}
    indexes = {index["oid"]: index for index in database["indexes"]}
    for action in plan("shop", database, measures, LIMITS):
        if action.action == "drop_index":
            assert not indexes[action.oid]["valid"]
        elif action.action == "reindex" and indexes[action.oid]["valid"]:
            assert action.waste_bytes >= LIMITS.index_waste_min_bytes
            assert action.waste_bytes >= LIMITS.index_waste_percent / 100 * action.bytes_before
            assert action.oid in candidates(database, LIMITS)
        elif action.action == "analyze":
            assert tables[action.oid]["modified_rows"] >= LIMITS.modified_rows_min
        elif action.action == "vacuum":
            table = tables[action.oid]
            dead = max(table["dead_rows"], table["toast_dead_rows"])
            assert dead >= LIMITS.dead_rows_min or max(table["xid_age"], table["multixact_age"]) > 0
