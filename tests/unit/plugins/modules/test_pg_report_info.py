# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports are read in one connection a database, and nothing is changed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_report import BETWEEN, read, report
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
