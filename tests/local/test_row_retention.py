# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old rows on a real server: with and without an index, in partitions, locked by somebody, killed in the middle, too many for the time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._row_remover import Pace, Remover
from ansible_collections.runbook.ops.plugins.module_utils._row_retention import RetentionError, Rule
from ansible_collections.runbook.ops.plugins.modules.pg_row_retention import PartlyError, Steps, look, run
from pg_cluster import Cluster

DAY = 86400.0
# 3000 rows, one an hour: 1000 of them are older than 2000 hours.
ROWS = "INSERT INTO {table} SELECT n, now() - n * interval '1 hour' FROM generate_series(1, 3000) n;"
SCHEMA = """
CREATE TABLE plain (id int PRIMARY KEY, at timestamptz);
CREATE TABLE "Indexed One" (id int PRIMARY KEY, at timestamp);
CREATE INDEX ON "Indexed One" (at);
CREATE TABLE parted (id int, at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1500);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1500) TO (9999);
CREATE TABLE parent (id int PRIMARY KEY, at timestamptz);
CREATE TABLE child (parent int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE blocked (id int PRIMARY KEY, at date);
CREATE TABLE comments (id int PRIMARY KEY, at timestamptz, answers int REFERENCES comments ON DELETE CASCADE);
CREATE TABLE spread (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES FROM (0) TO (1500);
CREATE TABLE spread_2 PARTITION OF spread FOR VALUES FROM (1500) TO (9999);
CREATE TABLE of_all (spread int REFERENCES spread ON DELETE CASCADE);
CREATE TABLE lone (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE lone_1 PARTITION OF lone FOR VALUES FROM (0) TO (9999);
CREATE TABLE of_one (lone int REFERENCES lone_1 ON DELETE SET NULL);
CREATE TABLE chatty (id int PRIMARY KEY, at timestamptz);
CREATE FUNCTION chat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''one gone''; RETURN OLD; END';
CREATE TRIGGER chat BEFORE DELETE ON chatty FOR EACH ROW EXECUTE FUNCTION chat();
CREATE TABLE holds (blocked int REFERENCES blocked);
SET timezone = 'UTC';
"""
REFERRING = "INSERT INTO child VALUES (2900); INSERT INTO holds VALUES (2950);"
TABLES = ("plain", '"Indexed One"', "parted", "parent", "blocked", "chatty")
PACE = Pace(rows=170, pause=0, lock_timeout=0.2, statement_timeout=20, budget=60)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as found:
        yield found


@pytest.fixture
def target(cluster: Cluster) -> Iterator[PgTarget]:
    cluster.sql("CREATE DATABASE shop")
    cluster.sql(
        SCHEMA + "".join(ROWS.format(table=table) for table in TABLES) + REFERRING,
        "shop",
    )
    host, port = (cluster.target("shop")[cluster.target("shop").index(flag) + 1] for flag in ("-h", "-p"))
    yield PgTarget({"login_unix_socket": host, "login_port": int(port), "login_user": "postgres"})
    cluster.sql("DROP DATABASE shop WITH (FORCE)")


def rule(table: str, *, hours: float = 2000.5, column: str = "at", cascade: bool = False) -> Rule:
    return Rule("shop", table, column, hours * 3600, cascade)


def left(cluster: Cluster, table: str) -> int:
    return int(cluster.sql(f"SELECT count(*) FROM {table}", "shop"))  # noqa: S608  # names of this file


@pytest.mark.parametrize(
    ("table", "name"),
    [("plain", "plain"), ("Indexed One", '"Indexed One"'), ("public.parted", "parted"), ("chatty", "chatty")],
)
def test_what_is_too_old_goes_and_nothing_else(cluster: Cluster, target: PgTarget, table: str, name: str) -> None:
    predicted = run(rule(table), PACE, target, vacuum=True, check_mode=True)
    assert (predicted["rows"], predicted["changed"], left(cluster, name)) == (1000, True, 3000)
    done = run(rule(table), PACE, target, vacuum=True, check_mode=False)
    assert (done["rows"], done["finished"], left(cluster, name)) == (1000, True, 2000)
    assert done["steps"] > 5
    assert int(cluster.sql(f"SELECT max(id) FROM {name}", "shop")) == 2000  # noqa: S608
    again = run(rule(table), PACE, target, vacuum=True, check_mode=False)
    assert (again["rows"], again["changed"]) == (0, False)


@pytest.mark.parametrize(("table", "name"), [("plain", "plain"), ("Indexed One", '"Indexed One"')])
def test_rows_that_somebody_has_locked_are_left_for_later(target: PgTarget, table: str, name: str) -> None:
    with target.session("shop") as other:
        other(f"BEGIN; UPDATE public.{name} SET id = id WHERE id IN (2500, 2600);")  # noqa: S608  # names of this file
        done = run(rule(table), PACE, target, vacuum=False, check_mode=False)
        assert (done["rows"], done["finished"], done["checks"][0]["status"]) == (998, False, "warning")
        other("ROLLBACK;")
    done = run(rule(table), PACE, target, vacuum=False, check_mode=False)
    assert (done["rows"], done["finished"]) == (2, True)


def test_what_was_removed_before_a_step_failed_is_told(cluster: Cluster, target: PgTarget) -> None:
    # The oldest are in the last blocks: those before go first.
    with pytest.raises(PartlyError, match="violates foreign key constraint") as caught:
        run(rule("blocked"), PACE, target, vacuum=False, check_mode=False)
    result = caught.value.result
    assert result["rows"] == result["changes"][0]["before"] == 3000 - left(cluster, "blocked") > 0
    assert result["checks"][0]["status"] == "warning"


def test_a_vacuum_that_fails_is_told_and_fails_nothing(target: PgTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PgTarget.sql

    def sql(self: PgTarget, database: str, text: str, **given: float) -> list[str]:
        if text.startswith("VACUUM"):
            raise PgError("canceling statement due to lock timeout")
        return real(self, database, text, **given)

    monkeypatch.setattr(PgTarget, "sql", sql)
    done = run(rule("plain"), PACE, target, vacuum=True, check_mode=False)
    assert (done["rows"], done["finished"], done["checks"][0]["status"]) == (1000, True, "warning")
    assert "it was not vacuumed: canceling" in done["checks"][0]["detail"]


def looked(target: PgTarget, table: str):
    return look(rule(table), target)


def test_a_locked_table_is_tried_again_and_then_said(target: PgTarget) -> None:
    table, naps = looked(target, "plain"), []
    with target.session("shop") as other:
        other("BEGIN; LOCK TABLE public.plain;")
        with pytest.raises(PgError, match="lock timeout"), Steps(target, "shop", PACE) as ask:
            Remover(ask, "at", PACE, sleep=naps.append).remove(table)
        assert naps == [PACE.lock_timeout] * 4
        other("ROLLBACK;")


def test_the_time_ends_it_and_the_next_run_goes_on(target: PgTarget) -> None:
    short = PACE._replace(budget=1e-9)
    first = run(rule("Indexed One"), short, target, vacuum=False, check_mode=False)
    assert (first["rows"], first["finished"], first["checks"][0]["status"]) == (170, False, "warning")
    assert run(rule("Indexed One"), PACE, target, vacuum=False, check_mode=False)["rows"] == 830


def test_a_server_that_ends_the_session_loses_one_step(cluster: Cluster, target: PgTarget) -> None:
    steps = 0

    with Steps(target, "shop", PACE) as ask:

        def cut(sql: str):
            nonlocal steps
            steps += 1
            if steps == 3:
                cluster.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runbook.ops' AND datname = 'shop'"
                )
            return ask(sql)

        with pytest.raises(PgError):
            Remover(cut, "at", PACE).remove(looked(target, "Indexed One"))
    assert left(cluster, '"Indexed One"') == 3000 - 2 * 170
    assert run(rule("Indexed One"), PACE, target, vacuum=False, check_mode=False)["rows"] == 660


def test_rows_that_others_depend_on(cluster: Cluster, target: PgTarget) -> None:
    with pytest.raises(RetentionError, match=r"others would go or change, in public.child \(child_parent_fkey\)"):
        run(rule("parent"), PACE, target, vacuum=False, check_mode=True)
    assert run(rule("parent", cascade=True), PACE, target, vacuum=False, check_mode=False)["rows"] == 1000
    assert left(cluster, "child") == 0
    with pytest.raises(PartlyError, match="violates foreign key constraint"):
        run(rule("blocked"), PACE, target, vacuum=False, check_mode=False)
    assert left(cluster, "holds") == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param("comments", r"in public.comments \(comments_answers_fkey\)", id="of the same table"),
        pytest.param("spread", r"in public.of_all \(of_all_spread_fkey\):", id="of the parent, each once"),
        pytest.param("spread_1", r"in public.of_all \(of_all_spread_fkey", id="of the parent, by a partition"),
        pytest.param("lone", r"in public.of_one \(of_one_lone_fkey\)", id="of one partition, by the parent"),
    ],
)
def test_foreign_keys_to_any_part_of_a_table_are_asked_for(target: PgTarget, table: str, words: str) -> None:
    with pytest.raises(RetentionError, match=words):
        run(rule(table), PACE, target, vacuum=False, check_mode=True)


def test_a_role_that_may_delete_but_not_lock_is_told_before(cluster: Cluster, target: PgTarget) -> None:
    cluster.sql("CREATE ROLE little LOGIN; GRANT SELECT, DELETE ON parted, parted_1, parted_2 TO little", "shop")
    little = PgTarget({**target._params, "login_user": "little"})
    try:
        with pytest.raises(RetentionError, match=r"lock \(UPDATE\)"):
            run(rule("parted"), PACE, little, vacuum=False, check_mode=True)
        cluster.sql("GRANT UPDATE ON parted, parted_1, parted_2 TO little", "shop")
        assert run(rule("parted"), PACE, little, vacuum=False, check_mode=True)["rows"] == 1000
    finally:
        cluster.sql("DROP OWNED BY little; DROP ROLE little", "shop")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(rule("none"), "shop has no table none", id="no table"),
        pytest.param(rule("plain", column="att"), "no column att: did you mean at?", id="no column"),
        pytest.param(rule("plain", column="id"), "is integer: how old a row is, a time says", id="no time"),
        pytest.param(rule("plain", hours=1), "one day at least", id="an hour"),
    ],
)
def test_what_is_refused(target: PgTarget, wrong: Rule, words: str) -> None:
    with pytest.raises(RetentionError, match=words.replace("?", r"\?")):
        run(wrong, PACE, target, vacuum=False, check_mode=False)
