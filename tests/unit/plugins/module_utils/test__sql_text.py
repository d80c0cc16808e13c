# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts of SQL, taken apart."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError, split


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("select 1; select 2", ["SELECT 1", "SELECT 2"], id="the last one without a semicolon"),
        pytest.param(";;\n-- no\n/* no /* nested */ ; */", [], id="nothing"),
        pytest.param("SELECT ';', E'\\';', \"a;\"\"b\";", ["SELECT '' , '' , \"a;\"\"b\""], id="quotes"),
        pytest.param("DO $x$ begin; $$ end; $x$; SELECT 1", ["DO ''", "SELECT 1"], id="dollar quotes"),
        pytest.param("drop table A.b -- ;\n;", ["DROP TABLE A . B"], id="a comment within"),
        pytest.param(
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION F ( ) RETURNS INT BEGIN ATOMIC SELECT CASE WHEN TRUE THEN 1 END ; SELECT 2 ; END",
                "SELECT 3",
            ],
            id="a body in SQL",
        ),
        pytest.param(
            "SELECT $1, a$b, U&'x', 1.5e3", ["SELECT $ 1 , A$B , '' , 1.5e3"], id="what only looks like a quote"
        ),
        pytest.param(
            "INSERT INTO größe VALUES ('ß')", ["INSERT INTO GRÖSSE VALUES ( '' )"], id="letters of other languages"
        ),
    ],
)
def test_statements_end_where_postgresql_ends_them(script: str, expected: list[str]) -> None:
    assert [statement.plain for statement in split(script)] == expected


def test_a_statement_knows_its_line_and_its_text() -> None:
    first, second = split("-- one\n/* two\n*/ SELECT 1\n  , 2 ;\n\nSELECT 3;\n")
    assert (first.line, first.text) == (3, "SELECT 1\n  , 2")
    assert (second.line, second.text) == (6, "SELECT 3")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("SELECT 1;\nSELECT 'a", "line 2: the quote ' does not end"),
        ('SELECT "a', 'line 1: the quote " does not end'),
        ("\n\nDO $a$ x $b$", r"line 3: the quote \$a\$ does not end"),
        ("/* /* */", "line 1: the comment does not end"),
        ("SELECT 1;\n\\i other.sql\n", "line 2 is a command of psql"),
        ("COPY a FROM stdin;\n1\n\\.\n", "line 1 is COPY FROM STDIN"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(script: str, words: str) -> None:
    with pytest.raises(SqlError, match=words):
        split(script)
