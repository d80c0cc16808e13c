# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of pg_repack: what it refuses, what it leaves alone, and what it clears up behind itself."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_repack
from ansible_collections.runbook.ops.plugins.module_utils._pg import LOCK_NOT_AVAILABLE, PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack import LOCK_ATTEMPTS, Pace, Repacker
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack_plan import Limits, Step
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage

MB = 1_000_000
STEP = Step("repack", "shop", "public.a", "60 % is waste", 1, 100 * MB, waste_bytes=60 * MB, tablespace=1663, file=1)
LEFT = {"oid": 1, "relation": "public.a", "parts": ["log", "trigger"], "bytes": 5 * MB}
CLEAN = Step("clean", "shop", "public.a", "left", 1, 5 * MB, leftover=LEFT)
DATABASE = {
    "version": 150000,
    "superuser": True,
    "in_recovery": False,
    "holder": None,
    "directories": {},
    "wal_tablespace": 1663,
    "runs": [],
    "leftovers": [],
    "tables": [],
    "available": "1.4.8",
    "installed": "1.4.8",
    "block_size": 8192,
    "pgstattuple": "",
}
TABLE = {
    "oid": 1,
    "toast": 0,
    "relation": "public.a",
    "bytes": 100 * MB,
    "toast_bytes": 0,
    "total_bytes": 100 * MB,
    "tablespace": 1663,
    "file": 1,
    "owned": True,
    "keyed": True,
    "fillfactor": 100,
    "live_rows": 40,
    "dead_rows": 60,
}
RUN = {"oid": 1, "pid": 4711, "seconds": 9}
REWRITTEN = json.dumps({"file": 2, "total_bytes": 40 * MB})
AS_IT_WAS = json.dumps({"file": 1, "total_bytes": 100 * MB})


class Server:
    """Answers by what is asked for, the first fitting one of ``answers``; remembers all questions."""

    inside = False
    server_version_num = 0

    def __init__(self, database=None, **answers):
        self.database, self.answers, self.asked = {**DATABASE, **(database or {})}, answers, []

    def sql(self, _name, sql, **_limits):
        self.asked.append(sql)
        kind = next(
            kind
            for kind, words in (
                ("remove", "pg_try_advisory_xact_lock"),
                ("end", "pg_terminate_backend"),
                ("held", "a.xact_start <"),
                ("size", "pg_total_relation_size"),
            )
            if words in sql
        )
        answer = self.answers.get(kind, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def json(self, _name, sql, **_limits):
        self.asked.append(sql)
        return [] if "pgstattuple_approx(" in sql else self.database

    def stage(self, program, *arguments, **_options):
        argv = ["docker", "exec", "shop-db-1", program] if self.inside else [program]
        return Stage([*argv, *arguments], {"PGUSER": "postgres"})

    def count(self, words):
        return sum(words in sql for sql in self.asked)


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    monkeypatch.setattr(_pg_repack.time, "sleep", lambda _seconds: None)


@pytest.fixture
def client(monkeypatch):
    """pg_repack, which ends as ``client.ends`` says."""
    fake = SimpleNamespace(ends=None, says="", stages=[])

    def run(stages, **_options):
        fake.stages.append(stages[0])
        if fake.ends:
            raise fake.ends
        return SimpleNamespace(text=fake.says)

    monkeypatch.setattr(_pg_repack, "run_pipeline", run)
    return fake


def repacker(server, *, limits=None, free=None, **pace):
    chosen = Pace(**{"total": 3600, "wait_timeout": 5, "wait_for_others": 0, "jobs": 1, **pace})
    return Repacker(server, run="r", limits=limits or Limits(), pace=chosen, free=lambda _directories: free or {})


def test_a_standby_is_refused():
    with pytest.raises(PgError, match="run this on its primary"):
        repacker(Server({"in_recovery": True})).observe("shop")


def test_one_that_does_not_end_is_not_waited_for_for_ever():
    assert repacker(Server({"runs": [RUN]})).settled("shop")["runs"] == [RUN]


@pytest.mark.parametrize(
    ("pgstattuple", "sessions", "asked_of"),
    [
        pytest.param("", 1, None, id="none: by estimate"),
        pytest.param("schema tools", 2, "\n  tools.pgstattuple_approx", id="installed"),
        pytest.param("borrow", 2, "CREATE EXTENSION pgstattuple", id="borrowed"),
    ],
)
def test_a_plan_takes_no_more_sessions_than_it_needs(client, pgstattuple, sessions, asked_of):
    """Each takes its time: on small databases all of them together took longer than the work."""
    client.says = "pg_repack 1.4.8"
    server = Server({"tables": [TABLE], "pgstattuple": pgstattuple})
    _database, (step,), lacking = repacker(server).plan("shop")
    assert (step.status, step.measured, lacking) == ("planned", False, None)
    assert len(server.asked) == sessions
    assert asked_of is None or asked_of in server.asked[-1]
    assert server.server_version_num == 150000


@pytest.mark.parametrize(
    ("database", "lacking", "pace", "free", "expected"),
    [
        pytest.param({}, "install it", {}, {}, "pg_repack is not ready: install it", id="not installed"),
        pytest.param({}, None, {"closed": "its window is not open now"}, {}, "not open now", id="outside the window"),
        pytest.param(
            {"holder": {"pid": 9, "user": "u", "state": "idle", "seconds": 61}},
            None,
            {},
            {},
            "it would wait for session 9 of u (idle, open for 61 s)",
            id="an open transaction",
        ),
        pytest.param({}, None, {}, {1663: 10 * MB}, "10 MB are free: make room", id="no room on the disk"),
        pytest.param({}, None, {}, {1663: 200 * MB}, None, id="nothing"),
    ],
)
def test_what_keeps_tables_from_being_written_anew_keeps_no_leftover_from_going(
    database, lacking, pace, free, expected
):
    clean, step = repacker(Server(), free=free, **pace).allowed({**DATABASE, **database}, [CLEAN, STEP], lacking)
    assert clean.status == "planned"
    assert step.status == ("skipped" if expected else "planned")
    assert expected is None or expected in step.message


@pytest.mark.usefixtures("client")
def test_what_is_left_over_goes_before_its_table_is_written_anew():
    server = Server(size=[REWRITTEN])
    clean, step = repacker(server).carry_out(server.database, [CLEAN, STEP])
    assert (clean.status, clean.bytes_after) == ("done", 0)
    assert (step.status, step.bytes_after) == ("done", 40 * MB)
    assert "pg_try_advisory_xact_lock" in server.asked[0]


def test_a_table_whose_leftovers_stay_is_not_written_anew(client):
    server = Server(remove=["busy"])
    clean, step = repacker(server).carry_out(server.database, [CLEAN, STEP])
    assert (clean.status, clean.message) == (
        "failed",
        "somebody repacks it now: run this again when that is over",
    )
    assert (step.status, client.stages) == ("skipped", [])


def test_a_table_that_is_in_use_is_tried_again_and_given_up_in_the_end():
    server = Server(remove=PgError("lock timeout", code=LOCK_NOT_AVAILABLE))
    assert repacker(server).clean(CLEAN).message == "lock timeout"
    assert len(server.asked) == LOCK_ATTEMPTS
    server = Server(remove=PgError("permission denied", code="42501"))
    assert repacker(server).clean(CLEAN).message == "permission denied"
    assert len(server.asked) == 1


def test_what_does_not_fit_into_the_time_that_is_left_is_not_begun(client):
    step = repacker(Server(), window_left=5).repack(DATABASE, STEP)
    assert (step.status, client.stages) == ("skipped", [])
    assert step.message == "expected to take 10 s, 5 s of the time budget or the window are left"


def test_a_table_that_somebody_holds_is_not_tried(client):
    step = repacker(Server(held=["session 9 of u (idle, open for 61 s)"])).repack(DATABASE, STEP)
    assert (step.status, client.stages) == ("skipped", [])
    assert "it is held by session 9 of u" in step.message


@pytest.mark.usefixtures("client")
def test_a_table_that_lies_in_the_same_file_was_not_written_anew():
    step = repacker(Server(size=[AS_IT_WAS])).repack(DATABASE, STEP)
    assert (step.status, step.bytes_after) == ("skipped", None)
    assert "somebody held it" in step.message


def test_what_one_that_failed_left_is_removed_and_its_words_are_told(client):
    client.ends = PipelineError("failed", code=1, stderr="INFO: repacking\nERROR: could not extend\nHINT: free space")
    server = Server({"leftovers": [LEFT]}, size=[AS_IT_WAS])
    step = repacker(server).repack(DATABASE, STEP)
    assert step.status == "failed"
    assert step.message == "pg_repack failed (1): could not extend; free space; the table is as it was"
    assert server.count("pg_try_advisory_xact_lock") == 1


def test_what_went_wrong_is_told_and_not_the_statement_behind_it(client):
    said = """\
NOTICE: Setting up workers.conns
WARNING: skipping invalid index: broken
ERROR: query failed: server closed the connection unexpectedly
\tThis probably means the server terminated abnormally
\tbefore or while processing the request.
DETAIL: query was: SELECT repack.repack_apply($1, $2, $3, $4, $5, $6)
"""
    client.ends = PipelineError("failed", code=254, stderr=said)
    step = repacker(Server(size=[AS_IT_WAS])).repack(DATABASE, STEP)
    assert "(254): query failed: server closed the connection unexpectedly; This probably" in step.message


def test_one_that_takes_too_long_is_ended_in_the_server_too(client):
    client.ends = PipelineError("pg_repack did not end within 3 s")
    server = Server(size=[AS_IT_WAS])
    step = repacker(server).repack(DATABASE, STEP)
    assert (step.status, server.count("pg_terminate_backend")) == ("failed", 1)
    assert "was stopped; the table is as it was" in step.message


@pytest.mark.parametrize("code", [None, 1], ids=["stopped", "failed"])
def test_one_that_had_written_the_table_anew_before_it_ended_badly_says_so(client, code):
    client.ends = PipelineError("it did not end well", code=code, stderr="ERROR: no")
    server = Server({"leftovers": [LEFT]}, size=[REWRITTEN])
    step = repacker(server).repack(DATABASE, STEP)
    assert (step.status, step.bytes_after) == ("failed", 40 * MB)
    assert step.message.endswith("; the table was written anew all the same")
    assert "'file', relfilenode" in server.asked[-1], "its sessions may change the files until they end"


def test_what_another_run_works_on_is_not_cleared_up(client):
    """Its session is not gone after the patience is over: it is told, and the next run removes it."""
    client.ends = PipelineError("failed", code=1, stderr="ERROR: no")
    server = Server({"leftovers": [LEFT], "runs": [RUN]}, size=[AS_IT_WAS], remove=["busy"])
    step = repacker(server).repack(DATABASE, STEP)
    assert "what it left could not be removed (somebody repacks it now" in step.message


@pytest.mark.parametrize(("version", "notices"), [(130000, False), (140000, True)])
@pytest.mark.parametrize("inside", [False, True])
def test_no_limit_of_the_server_ends_it_and_nobody_is_ended_by_it(version, notices, inside):
    server = Server()
    server.inside = inside
    stage = repacker(server).stage({**DATABASE, "version": version, "superuser": False}, STEP)
    assert "statement_timeout=0" in stage.environment["PGOPTIONS"]
    assert ("client_connection_check_interval" in stage.environment["PGOPTIONS"]) is notices
    assert ("--env=PGOPTIONS" in stage.argv) is inside
    assert {"--no-kill-backend", "--wait-timeout=5", "--table=public.a", "--no-superuser-check"} <= set(stage.argv)
