# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's programs get their connection in the environment, and what they say becomes one line."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_target
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, spawn

FOUND = {13: "/usr/lib/postgresql/13/bin/pg_dump", 15: "/x/15/pg_dump", 17: "/x/17/pg_dump"}


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    monkeypatch.setattr(_pg_target, "installed", lambda name: {15: f"/x/15/{name}", 17: f"/x/17/{name}"})
    monkeypatch.setattr(_pg_target, "container_name", lambda **place: place["container"] or "shop-db-1")
    monkeypatch.setattr(_pg_target.os, "geteuid", lambda: 0)


def target(**params):
    made = PgTarget.from_params(params, application="test")
    made.server_version_num = 150000
    return made


def test_on_the_local_socket_it_runs_as_the_account_that_may():
    stage = target(login_port=5433).stage("pg_dump", "-Fc", database="shop")
    assert stage.argv == ["/x/15/pg_dump", "-Fc", "-d", "dbname='shop'"]
    assert stage.user == "postgres"
    assert stage.environment["PGUSER"] == "postgres"
    assert stage.environment["PGPORT"] == "5433"


def test_over_tcp_it_runs_as_we_do_and_notices_a_host_that_is_gone():
    stage = target(login_host="db", login_user="shop", login_password="s3cr3t").stage("psql", database="shop")
    assert stage.user is None
    assert stage.environment["PGHOST"] == "db"
    assert stage.environment["PGPASSWORD"] == "s3cr3t"
    assert "keepalives_idle" in stage.argv[-1]
    assert not any("s3cr3t" in word for word in stage.argv)


def test_in_a_container_values_are_named_and_never_written():
    stage = target(container="db", login_user="shop", login_password="s3cr3t").stage("pg_dump", database="shop")
    assert list(stage.argv[:2]) == ["docker", "exec"]
    assert "--env=PGPASSWORD" in stage.argv
    assert not any("s3cr3t" in word for word in stage.argv)
    assert stage.name == "pg_dump in container db"


def test_in_a_container_the_program_has_no_shell_around_it():
    """PostgreSQL is process 1 there: an orphan that ends by a signal makes it end all sessions."""
    argv = list(target(project="shop", service="db").stage("pg_restore", "--list", reads=True).argv)
    assert argv[2] == "--interactive"
    assert argv[-3:] == ["shop-db-1", "pg_restore", "--list"]


@pytest.mark.parametrize("name", ["shop", "we ird", "it's", "postgresql://x", "a=b", "back\\slash"])
def test_a_database_is_taken_by_its_name_whatever_it_looks_like(name):
    last = target().stage("pg_dump", database=name).argv[-1]
    assert last == "dbname='" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize(
    ("server", "path"),
    [(150000, "/x/15/pg_dump"), (160002, "/x/17/pg_dump"), (140001, "/x/15/pg_dump"), (170000, "/x/17/pg_dump")],
)
def test_the_oldest_program_that_knows_the_server_is_used(server, path):
    made = target()
    made.server_version_num = server
    assert made.program("pg_dump") == path


def test_a_server_that_is_newer_than_all_programs_is_refused():
    made = target()
    made.server_version_num = 180000
    with pytest.raises(
        PgError, match=r"the server is PostgreSQL 18, and pg_dump here is 17: install postgresql-client-18"
    ):
        made.program("pg_dump")


def test_dumps_keep_the_encoding_of_their_database():
    assert "PGCLIENTENCODING" not in target().stage("pg_dump").environment
    assert target().stage("psql").environment["PGCLIENTENCODING"] == "UTF8"


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        pytest.param(
            'pg_dump: error: connection to server on socket "/x" failed: FATAL:  database "shop" does not exist\n',
            'cannot work on database shop: connection to server on socket "/x" failed: FATAL:  database "shop" does not exist: '
            "check the name in databases",
            id="no such database",
        ),
        pytest.param(
            'pg_dump: error: Dumping the contents of table "a" failed: PQgetResult() failed.\n'
            "pg_dump: detail: Error message from server: server closed the connection unexpectedly\n"
            "\tThis probably means the server terminated abnormally\n"
            "pg_dump: detail: Command was: COPY public.a (x) TO stdout;\n",
            'pg_dump failed on database shop: Dumping the contents of table "a" failed: PQgetResult() failed; '
            "Error message from server: server closed the connection unexpectedly",
            id="the server dies",
        ),
        pytest.param(
            "pg_restore: while PROCESSING TOC:\n"
            "pg_restore: from TOC entry 9; 0 0 USER MAPPING app\n"
            'pg_restore: error: could not execute query: ERROR:  user mapping for "app" failed\n'
            "Command was: CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (\n"
            "    password 's3cret, though it failed'\n);\n",
            'pg_dump failed on database shop: could not execute query: ERROR:  user mapping for "app" failed',
            id="a command with a secret in it",
        ),
        pytest.param(
            'pg_restore: error: COPY failed for table "users": ERROR:  duplicate key value violates unique constraint "u"\n'
            "DETAIL:  Key (email)=(me@example.com\nand more) already exists.\n"
            "CONTEXT:  COPY users, line 3\n"
            "pg_restore: error: could not go on\n",
            'pg_dump failed on database shop: COPY failed for table "users": ERROR:  duplicate key value violates unique constraint "u"; '
            "could not go on",
            id="a value of a row in the details",
        ),
        pytest.param(
            'pg_restore: error: could not execute query: ERROR:  extension "x" is not available\n'
            'DETAIL:  Could not open extension control file "x.control".\n',
            'pg_dump failed on database shop: could not execute query: ERROR:  extension "x" is not available; '
            'DETAIL:  Could not open extension control file "x.control"',
            id="details without a row",
        ),
        pytest.param("", "pg_dump failed (1)", id="nothing"),
    ],
)
def test_what_pg_dump_says_becomes_one_line(stderr, line):
    exc = PipelineError("pg_dump failed (1)", name="pg_dump", code=1, stderr=stderr)
    assert str(tool_error(exc, "shop")) == line


@pytest.fixture
def hanging(monkeypatch):
    """A psql that reads what it is told and never answers."""
    made = target()
    stage = Stage(["sh", "-c", "sleep 30"], name="psql")
    monkeypatch.setattr(made, "stage", lambda *_arguments, **_options: stage)
    return made


def test_a_server_that_hangs_does_not_hang_us(hanging):
    hanging._params["connect_timeout_seconds"] = 0
    with pytest.raises(
        PgError, match=r"^psql did not end within 0\.3 s: the server or the way to it hangs: look at its log"
    ):
        hanging.sql("shop", "SELECT 1;", timeout_seconds=0.1)


def test_an_open_session_has_the_limit_that_it_is_given(hanging):
    session = PgSession(hanging, "shop")
    session._process = spawn(hanging.stage(), stdin=-1, stdout=-1, stderr=-2)
    session.answer_seconds = 0.2
    with pytest.raises(PgError, match=r"^psql did not answer within 0\.2 s"):
        session("SELECT 1;")
    session.__exit__(None, None, None)


def test_an_open_session_that_hangs_is_ended(hanging):
    session = PgSession(hanging, "shop")
    session._process = spawn(hanging.stage(), stdin=-1, stdout=-1, stderr=-2)
    with pytest.raises(PgError, match=r"^psql did not answer within 0\.2 s: the server or the way to it hangs"):
        session("SELECT 1;", limit_seconds=0.2)
    session.__exit__(None, None, None)
