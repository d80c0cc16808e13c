# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs: predicted, done, done again, and killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._kill import kill_at
from .conftest import Host

# A table that is half dead, and an index of another that is nine tenths empty; the statistics are there at once.
BLOAT = """
DROP TABLE IF EXISTS worn_table, worn_index;
CREATE TABLE worn_table WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, {rows}) g;
CREATE TABLE worn_index WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, {rows}) g;
CREATE INDEX worn_index_text ON worn_index (text);
DELETE FROM worn_index WHERE id % 10 > 0;
VACUUM (ANALYZE) worn_index, worn_table;
DELETE FROM worn_table WHERE id % 2 = 0;
SELECT pg_sleep(1.2);
"""
HALF_BUILT = r"SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)\d*$'"


@pytest.fixture
def worn(host: Host) -> Iterator[Host]:
    """Return a host whose database has something to do."""
    host.sql(BLOAT.format(rows=60_000))
    yield host
    host.sql("DROP TABLE worn_table, worn_index")


def test_a_run_does_what_check_mode_predicted_and_the_next_has_nothing_to_do(worn: Host) -> None:
    before = worn.fingerprint()
    predicted = worn.play("weekly_maintenance", "--check", "--diff")
    assert predicted.code == 0, predicted.text
    assert worn.fingerprint() == before

    done = worn.play("weekly_maintenance")
    assert done.code == 0, done.text
    plan = predicted.table("Predicted changes")
    assert {
        ("owlivion_sync: public.worn_table", "vacuum"),
        ("owlivion_sync: public.worn_index_text", "reindex"),
    } <= plan
    assert done.table("Changes") == plan

    again = worn.play("weekly_maintenance")
    assert again.code == 0, again.text
    assert again.table("Changes") == set()
    assert "changed" not in again.text.splitlines()[-1]


def test_every_run_leaves_one_record_that_says_what_it_did(worn: Host) -> None:
    known = len(worn.records())
    outcome = worn.play("weekly_maintenance")
    records = worn.records()
    assert len(records) == known + 1
    record = records[-1]
    assert (record["status"], record["playbook"], record["system"]) == ("ok", "weekly_maintenance", "owlivion")
    assert {(change["thing"], change["action"]) for change in record["changes"]} == outcome.table("Changes")
    assert {check["id"] for check in record["checks"]} >= {"backup-log:weekly", "pg_freeze_age:owlivion_sync"}


@pytest.mark.parametrize(
    "moment", ["Measure the databases", "Vacuum, analyze and reindex", "See what asks for a restart"]
)
def test_a_killed_run_is_recorded_and_the_next_one_converges(worn: Host, moment: str) -> None:
    rows = worn.sql("SELECT count(*), sum(id) FROM worn_table")
    kill_at(worn.command("weekly_maintenance"), moment, after_seconds=0.4)

    outcome = worn.play("weekly_maintenance")
    assert outcome.code == 0, outcome.text
    assert worn.sql(HALF_BUILT) == "0"
    assert worn.sql("SELECT count(*), sum(id) FROM worn_table") == rows
    assert [record["status"] for record in worn.records()][-2:] == ["interrupted", "ok"]
    again = worn.play("weekly_maintenance")
    assert again.table("Changes") == set()
