# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports are read in one connection a database, and nothing is changed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_index_sql, _pg_repack_sql, _pg_sql
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_report import BETWEEN, read, report
from ansible_collections.runbook.ops.plugins.module_utils._slow_statements import OWN
from ansible_collections.runbook.ops.plugins.module_utils.probes import postgresql
from ansible_collections.runbook.ops.plugins.modules import pg_report_info


class FakePsql:
    """Answers every database with a report that names it, as psql prints it: over several lines."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, database: str, _sql: str, _session: object) -> list[str]:
        self.asked.append(database)
        if database == "gone":
            raise PgError("cannot work on database gone")
        return [*json.dumps({"database": database}, indent=1).splitlines(), BETWEEN, '[{"calls": 3},', ' {"calls": 2}]']


def test_each_database_is_asked_once_and_nothing_is_changed() -> None:
    psql = FakePsql()
    result = pg_report_info.run(psql, ["shop", "mail"], 2)  # type: ignore[arg-type]  # stands in for psql
    assert psql.asked == ["shop", "mail"]
    assert result["changed"] is False
    assert [one["database"] for one in result["databases"]] == ["shop", "mail"]
    assert result["databases"][0]["slowest_statements"] == [{"calls": 3}, {"calls": 2}]


def test_a_database_that_cannot_be_reached_ends_the_report() -> None:
    with pytest.raises(PgError, match="gone"):
        pg_report_info.run(FakePsql(), ["shop", "gone"], 2)  # type: ignore[arg-type]  # stands in for psql


def test_the_number_reaches_the_script_as_a_variable() -> None:
    assert report(7).startswith("\\set number 7\n")


def test_a_report_without_its_second_half_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match="statements"):
        read(['{"database": "shop"}'])


MARK = "/* runbook.ops"


def test_the_slowest_statements_are_those_of_others() -> None:
    *_head, statements = report(5).split(BETWEEN)
    assert f"WHERE query NOT LIKE '%{MARK}%'" in statements


@pytest.mark.parametrize(
    "asked",
    [report(5).split(BETWEEN)[0], report(5).split(BETWEEN)[1], _pg_index_sql.OBSERVE, _pg_sql.OBSERVE, _pg_repack_sql.OBSERVE,
     postgresql.QUERY, OWN],
    ids=["report", "statements", "indexes", "maintenance", "repack", "health", "performance"],
)  # fmt: skip
def test_what_the_collection_asks_often_is_marked_as_its_own(asked: str) -> None:
    assert MARK in asked.replace(f"'%{MARK}%'", "")
