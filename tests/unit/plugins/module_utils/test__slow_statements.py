# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements are told without a value, by the columns of their version, and at what they cost in the period."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _slow_statements as slow

# The columns that matter, as pg_stat_statements has them in each of PostgreSQL's versions.
OLD = ["userid", "dbid", "queryid", "query", "calls", "total_time", "min_time", "max_time", "mean_time", "rows"]
NEW = [
    "userid",
    "dbid",
    "queryid",
    "query",
    "plans",
    "total_plan_time",
    "calls",
    "total_exec_time",
    "mean_exec_time",
    "rows",
]
COLUMNS = {
    12: (OLD, False),
    13: (NEW, False),
    14: ([*NEW, "toplevel"], True),
    15: ([*NEW, "toplevel", "temp_blk_read_time"], True),
    16: ([*NEW, "toplevel", "temp_blk_read_time"], True),
    17: ([*NEW, "toplevel", "shared_blk_read_time", "stats_since", "minmax_stats_since"], True),
}


@pytest.mark.parametrize("version", COLUMNS)
def test_the_question_names_only_columns_that_the_version_has(version):
    columns, info = COLUMNS[version]
    sql = slow.counters_sql("public", columns, info=info)
    assert ("s.total_time" in sql) == (version == 12)
    assert ("s.total_exec_time" in sql) == (version > 12)
    assert ("s.toplevel" in sql) == (version >= 14)
    assert ("pg_stat_statements_info" in sql) == (version >= 14)
    assert "mean" not in sql  # neither mean_time nor mean_exec_time: it is reckoned


def test_an_extension_older_than_its_server_is_asked_in_its_own_words():
    assert slow.time_column(OLD) == "total_time"


def test_a_schema_with_any_name_stays_a_name():
    sql = slow.counters_sql('my "TOTAL" TOP', NEW, info=True)
    assert sql.count('"my ""TOTAL"" TOP".pg_stat_statements') == 2


def test_texts_are_asked_by_numbers_alone():
    assert "IN (-5, 7)" in slow.texts_sql("public", ["-5", "7"])
    with pytest.raises(ValueError, match="invalid literal"):
        slow.texts_sql("public", ["1); DROP TABLE users --"])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        pytest.param("SELECT *\n  FROM t  WHERE id = $1", "SELECT * FROM t WHERE id = ?", id="one line"),
        pytest.param("SELECT 'secret', E'it\\'s', U&'x', x'ff'", "SELECT ?, …", id="strings of all kinds"),
        pytest.param("CREATE ROLE clerk PASSWORD 'open ''sesame'''", "CREATE ROLE clerk PASSWORD ?", id="a password"),
        pytest.param("ALTER ROLE a PASSWORD 'cut off here", "ALTER ROLE a PASSWORD ?", id="a string that was cut off"),
        pytest.param("DO $do$ BEGIN secret(); END $do$", "DO ?", id="a body in dollars"),
        pytest.param("SELECT $$secret", "SELECT ?", id="a body that was cut off"),
        pytest.param(
            "SELECT 1, -2.5e3 FROM t1 WHERE c2 < 10", "SELECT ?, … FROM t1 WHERE c2 < ?", id="numbers, not names"
        ),
        pytest.param("SELECT 1 -- a@example.com\n, 2 /* key */", "SELECT ?, …", id="comments"),
        pytest.param('SELECT "Weird \' Name" FROM t', 'SELECT "Weird \' Name" FROM t', id="a quoted name"),
        pytest.param("x IN ($1, $2, $3)", "x IN (?, …)", id="lists of any length are one"),
        pytest.param("SELECT a" + ", b" * 200, None, id="cut"),
    ],
)
def test_no_value_is_ever_told(query, told):
    found = slow.normalise(query)
    assert found == told if told else (len(found) == slow.LONGEST and found.endswith("…"))


def test_the_name_of_a_statement_depends_on_its_words_only():
    names = {
        slow.name_of(slow.normalise(text)) for text in ("SELECT a WHERE b IN (1,2)", "SELECT  a WHERE b IN (7, 8,9)")
    }
    assert len(names) == 1


def test_cost_is_that_since_the_look_before():
    now = {"1": [110, 5100.0, 110], "2": [10, 100.0, 0], "3": [50, 900.0, 50]}
    before = {"1": [100, 5000.0, 100], "2": [10, 100.0, 0], "4": [3, 9.0, 0]}
    found = slow.spent(now, before)
    assert [(one.identity, one.calls, one.total_ms, one.share_percent) for one in found] == [
        ("3", 50, 900.0, 90.0),
        ("1", 10, 100.0, 10.0),
    ]
    assert found[1].mean_ms == 10.0


def test_a_counter_that_began_anew_counts_whole():
    assert slow.spent({"1": [5, 50.0, 5]}, {"1": [100, 5000.0, 100]})[0].calls == 5


def test_other_roles_statements_without_an_identity_are_left_out():
    assert slow.counts_of([["", 9, 9.0, 9], ["7", 1, 2, 3]]) == {"7": [1, 2.0, 3]}


def test_those_with_most_time_and_the_slowest_are_told_of_rare_ones_only_for_their_time():
    cheap = [slow.Statement(str(number), 1000, 1000.0 - number, 0, 1.0) for number in range(8)]
    rare = slow.Statement("rare", 1, 900.0, 0, 1.0)
    slow_one = slow.Statement("slow", 10, 500.0, 0, 1.0)
    chosen = [one.identity for one in slow.picked([*cheap, rare, slow_one], 2, 5)]
    assert chosen[:2] == ["0", "1"]
    assert "slow" in chosen
    assert "rare" not in chosen
