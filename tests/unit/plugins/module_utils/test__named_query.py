# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A statement's parameters become places of one bound array, and nothing of it stands in the script as SQL."""

from __future__ import annotations

import re

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._named_query import (
    QueryError,
    name_parameters,
    script,
    typed,
)

VALUES = {"since": ("timestamptz", "2026-11-20"), "least": ("bigint", "5")}
SINCE, LEAST = "(($1::text[])[1]::timestamptz)", "(($1::text[])[2]::bigint)"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        pytest.param("SELECT 1 ; ", "SELECT 1", id="a semicolon at the end"),
        pytest.param("SELECT :since, :least", f"SELECT {SINCE}, {LEAST}", id="two"),
        pytest.param("SELECT :since::date", f"SELECT {SINCE}::date", id="cast"),
        pytest.param("SELECT now()::date", "SELECT now()::date", id="a cast is no parameter"),
        pytest.param("SELECT now()::since", "SELECT now()::since", id="nor is one to a type of that name"),
        pytest.param("SELECT ':since'", "SELECT ':since'", id="in text"),
        pytest.param("SELECT E'\\':since'", "SELECT E'\\':since'", id="in escaped text"),
        pytest.param('SELECT ":since"', 'SELECT ":since"', id="in a quoted name"),
        pytest.param("SELECT $x$ :since $x$", "SELECT $x$ :since $x$", id="in a dollar quote"),
        pytest.param("SELECT 1 -- :since", "SELECT 1  ", id="in a comment"),
        pytest.param("SELECT/* :since /* */ :least */1", "SELECT 1", id="in nested comments"),
        pytest.param("SELECT a[1:2]", "SELECT a[1:2]", id="a slice"),
    ],
)
def test_a_parameter_is_a_place_of_what_is_bound(statement, text):
    assert name_parameters(statement, VALUES).text.rstrip() == text.rstrip()


@pytest.mark.parametrize(
    ("statement", "functions"),
    [
        pytest.param("SELECT count(*) FROM a WHERE b IN (1)", {"count", "in"}, id="plain"),
        pytest.param("SELECT Pg_Sleep /* x */ \n (1)", {"pg_sleep"}, id="capitals, a comment and blanks"),
        pytest.param('SELECT "Do""It" (1)', {'Do"It'}, id="quoted"),
        pytest.param("SELECT pg_catalog . nextval ('x')", {"nextval"}, id="with its schema"),
        pytest.param("SELECT 'nextval(1)'", set(), id="not in text"),
    ],
)
def test_the_functions_that_it_names_are_found(statement, functions):
    assert functions <= set(name_parameters(statement, VALUES).functions)
    assert functions or not name_parameters(statement, VALUES).functions


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT :sinc", "there is no parameter :sinc; known are since, least"),
        ("SELECT 'x", "does not end"),
        ("SELECT $a$ x", "does not end"),
        ("SELECT /* x", "does not end"),
        ('SELECT U&"pg_terminate\\005Fbackend"(1)', "without U&"),
    ],
)
def test_what_is_not_understood_is_not_asked(statement, words):
    with pytest.raises(QueryError, match=re.escape(words)):
        name_parameters(statement, VALUES)


def test_nothing_of_the_statement_or_of_a_value_stands_in_the_script_as_sql():
    values = {"name": ("text", "'); DROP TABLE users; --")}
    told = script(name_parameters("SELECT :name \\! rm; COMMIT; $runbook_ops$ x $runbook_ops$", values), seconds=1)
    plain = script(name_parameters("SELECT 1", {}), seconds=1)
    hidden = re.compile(r"'[0-9a-f]*', 'hex'")
    assert hidden.sub("", told) == hidden.sub("", plain)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, "boolean", "true"),
        (7, "bigint", "7"),
        (0.5, "double precision", "0.5"),
        ("x", "text", "x"),
        (None, "text", None),
    ],
)
def test_a_value_has_the_type_that_it_has_in_the_inventory(value, kind, text):
    assert typed("name", value) == (kind, text)


@pytest.mark.parametrize(("name", "value"), [("Name", 1), ("a b", 1), ("a", [1]), ("a", {})])
def test_a_value_that_cannot_be_bound_is_refused(name, value):
    with pytest.raises(QueryError):
        typed(name, value)
