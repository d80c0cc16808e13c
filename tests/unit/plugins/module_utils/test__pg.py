# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quoting that holds against any name, connections, and errors of one line that say what to do."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pg import (
    DISK_FULL,
    LOCK_NOT_AVAILABLE,
    PgError,
    Psql,
    Session,
    conninfo,
    explain,
    quote_identifier,
    quote_literal,
    reach,
)

PARAMS = {
    "login_host": "",
    "login_unix_socket": "",
    "login_port": 5432,
    "login_user": None,
    "login_password": None,
    "ssl_mode": "prefer",
    "connect_timeout_seconds": 10,
    "run_as": "postgres",
}


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        pytest.param("orders", '"orders"', id="plain"),
        pytest.param("Sick One", '"Sick One"', id="capitals and a space"),
        pytest.param('a"; DROP TABLE b; --', '"a""; DROP TABLE b; --"', id="a quote cannot end it"),
        pytest.param("a\\", '"a\\"', id="a backslash means nothing"),
    ],
)
def test_an_identifier_means_its_name_whatever_it_holds(name, quoted):
    assert quote_identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b"], ids=["empty", "NUL"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match="cannot be a name"):
        quote_identifier(name)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        pytest.param("x", "'x'", id="plain"),
        pytest.param("it's", "'it''s'", id="a quote is doubled"),
        pytest.param("\\'; --", " E'\\\\''; --'", id="a backslash cannot eat the quote"),
    ],
)
def test_a_literal_means_its_value_whatever_the_server_thinks_of_backslashes(value, quoted):
    assert quote_literal(value) == quoted


def test_a_connection_string_holds_what_is_set_and_keeps_each_value_to_itself():
    parts = {"host": "/run/x y", "port": 5433, "user": None, "dbname": "it's \\ host=evil"}
    assert conninfo(parts) == r"host='/run/x y' port='5433' dbname='it\'s \\ host=evil'"


@pytest.mark.parametrize(
    ("stderr", "code", "message"),
    [
        pytest.param(
            "psql:<stdin>:9: ERROR:  55P03: canceling statement due to lock timeout\nLOCATION:  x\n",
            LOCK_NOT_AVAILABLE,
            "canceling statement due to lock timeout; another session holds a lock on it: "
            "try again later, or raise lock_timeout_seconds",
            id="no lock",
        ),
        pytest.param(
            'ERROR:  53100: could not extend file "base/1/2": No space left on device\nHINT:  Check free disk space.\n',
            DISK_FULL,
            'could not extend file "base/1/2": No space left on device; Check free disk space.; '
            "the disk of the server is full: make room, then run this again",
            id="full disk, with its hint",
        ),
        pytest.param(
            "ERROR:  23505: could not create unique index\nDETAIL:  Key (a)=(1) is duplicated.\n",
            "23505",
            "could not create unique index; Key (a)=(1) is duplicated.",
            id="a code without advice keeps its detail",
        ),
        pytest.param(
            'psql: error: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  password authentication failed '
            'for user "shop"\n',
            "08000",
            'cannot work on database shop: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  password '
            'authentication failed for user "shop": check login_user and login_password',
            id="wrong password",
        ),
        pytest.param(
            'psql: error: connection to server on socket "/run/.s" failed: FATAL:  database "shop" does not exist\n',
            "08000",
            'cannot work on database shop: connection to server on socket "/run/.s" failed: FATAL:  database "shop" does '
            "not exist: check the name in databases",
            id="missing database",
        ),
        pytest.param(
            "", "08000", "cannot work on database shop: psql said nothing: check the connection options", id="killed"
        ),
    ],
)
def test_what_psql_printed_becomes_one_line_that_says_what_to_do(stderr, code, message):
    error = explain(stderr, "shop")
    assert (error.code, str(error)) == (code, message)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        pytest.param(
            'ERROR:  23514: new row for relation "users" violates check constraint "c"\n'
            "DETAIL:  Failing row contains (1, me@example.com, $2b$10$hash).\n",
            'new row for relation "users" violates check constraint "c"',
            id="a row in the detail",
        ),
        pytest.param(
            'psql:<stdin>:4: ERROR:  22P02: invalid input syntax for type uuid: "me@example.com"\n',
            "invalid input syntax for type uuid",
            id="a value at the end of the words",
        ),
        pytest.param(
            'ERROR:  22003: value "4711471147" is out of range for type integer\n',
            "value is out of range for type integer",
            id="a value in the middle",
        ),
        pytest.param(
            'ERROR:  22P04: missing data for column "note"\n', 'missing data for column "note"', id="only a name"
        ),
        pytest.param(
            "ERROR:  55P03: canceling statement due to lock timeout\n",
            "canceling statement due to lock timeout; another session holds a lock on it: try again later, or raise lock_timeout_seconds",
            id="what to do is still said",
        ),
    ],
)
def test_without_detail_no_value_of_a_row_is_told(stderr, line):
    assert str(explain(stderr, "shop", detail=False)) == line


def test_a_connection_that_was_refused_counts_as_lost_even_where_it_says_fatal():
    stderr = 'psql: error: connection to server on socket "/x" failed: FATAL:  the database system is shutting down\n'
    assert explain(stderr, "shop").code == "08000"
    assert explain("FATAL:  57P01: terminating connection due to administrator command\n", "shop").code == "57P01"


@pytest.mark.parametrize(
    ("options", "root", "account", "host"),
    [
        pytest.param({}, True, "postgres", "", id="root on the local socket becomes run_as"),
        pytest.param({}, False, None, "", id="without root nobody changes"),
        pytest.param({"login_unix_socket": "/run/x"}, True, "postgres", "/run/x", id="another socket"),
        pytest.param({"login_host": "/run/x"}, True, "postgres", "/run/x", id="a host that is a socket"),
        pytest.param({"login_host": "db"}, True, None, "db", id="over TCP nobody changes"),
        pytest.param({"login_host": "db", "login_unix_socket": "/run/x"}, True, None, "db", id="the host counts first"),
    ],
)
def test_who_runs_psql_depends_on_how_the_server_is_reached(options, root, account, host):
    found, environment, parts = reach({**PARAMS, **options}, is_root=root)
    assert (found, environment, parts["host"]) == (account, {}, host)


def test_the_password_reaches_psql_in_the_environment_alone():
    _account, environment, parts = reach({**PARAMS, "login_password": "s3cr3t"}, is_root=False)
    assert environment == {"PGPASSWORD": "s3cr3t"}
    assert "s3cr3t" not in conninfo(parts)


def test_settings_come_before_the_statements_and_a_limit_is_never_rounded_to_none():
    sent = []
    psql = Psql(lambda *arguments, stdin: sent.append((arguments, stdin)) or "1\n2\n", {"host": "db"})
    assert psql("shop", "SELECT 1;", Session("us", lock_timeout=0.1, statement_timeout=0.0001)) == ["1", "2"]
    (arguments, stdin) = sent[0]
    assert arguments[-1] == "host='db' dbname='shop' application_name='us'"
    assert "SET lock_timeout = 100;" in stdin
    assert "SET statement_timeout = 1;" in stdin
    assert stdin.endswith("\nSELECT 1;")


def test_a_missing_psql_is_not_taken_for_an_error_of_the_server():
    def missing(*_arguments, **_options):
        raise CommandError("psql is not installed on this host")

    with pytest.raises(CommandError, match="not installed"):
        Psql(missing, {})("shop", "SELECT 1;", Session("us"))


def test_an_error_of_psql_is_explained():
    def failing(*_arguments, **_options):
        raise CommandError("psql failed (3)", rc=3, stderr="ERROR:  42501: must be owner of table t\n")

    with pytest.raises(PgError, match="must be owner of table t; run as the owner or as a superuser") as caught:
        Psql(failing, {})("shop", "SELECT 1;", Session("us"))
    assert caught.value.code == "42501"
