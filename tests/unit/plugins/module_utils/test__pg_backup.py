# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is made only where it is wanted and fits; whatever goes wrong is one line, and the first failure is the one told."""

from __future__ import annotations

import errno
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups, locked
from ansible_collections.runbook.ops.plugins.module_utils._pg_archive import Contents, Entry
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import Job, _explained, run
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import BackupError
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import result
from ansible_collections.runbook.ops.plugins.module_utils._pg_dump import Dump
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError

NOW = datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)
CONTENT = {"tables": {"public.orders": 5}, "sequences": {"public.orders_id_seq": [9, True]}, "size_bytes": 10_000_000}
HELD = Contents(
    "15.18",
    [
        Entry("TABLE DATA", "public", "orders", ""),
        Entry("SEQUENCE SET", "public", "orders_id_seq", "SELECT pg_catalog.setval('public.orders_id_seq', 7, true);"),
    ],
)


class FakeSession:
    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def __call__(self, _sql):
        return ["00000003-0000001B-1"]


class FakeTarget:
    """Stands for the server."""

    inside = False

    def __init__(self):
        self.asked = []

    def sql(self, _database, sql, **_limits):
        self.asked.append(sql.split()[0] + " " + sql.split()[1].split("(")[0])
        return ["10000000"]

    def session(self, _database):
        return FakeSession()

    def program_major(self, _name):
        return 15

    def program_version(self, _name):
        return "15.18"


@pytest.fixture(autouse=True)
def server(monkeypatch):
    """A server, a dump and a count beside it, as they are where all goes well."""
    fake = SimpleNamespace(target=FakeTarget(), now=NOW, content=CONTENT, held=HELD)
    monkeypatch.setattr(_pg_backup.PgTarget, "from_params", lambda _params, **_options: fake.target)
    monkeypatch.setattr(_pg_backup, "now", lambda: fake.now)
    monkeypatch.setattr(_pg_backup, "read_content", lambda *_args, **_options: dict(fake.content))
    monkeypatch.setattr(_pg_backup, "read_dump", lambda *_args: fake.held)

    def write_dump(_target, draft, _database, _recipe, **_options):
        (draft.path / "dump").mkdir()
        (draft.path / "dump" / "toc.dat").write_bytes(b"PGDMP")
        return Dump("dump")

    monkeypatch.setattr(_pg_backup, "write_dump", write_dump)
    return fake


@pytest.fixture
def params(tmp_path):
    return {"database": "shop", "directory": str(tmp_path / "backups"), "min_free_percent": 0}


def files(place):
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def test_a_backup_is_made_and_told(params):
    made = run(params)
    (backup,) = list_backups(Path(params["directory"]), "shop")
    assert made["changed"]
    assert made["backup"]["path"] == str(backup.path) == params["directory"] + "/shop_20261121T020000Z"
    assert (made["backup"]["tables"], made["backup"]["rows"], made["backup"]["encryption"]) == (1, 5, None)
    assert backup.manifest["kind"] == "postgresql"
    assert backup.manifest["content"]["dump"] == "dump"
    assert [change["thing"] for change in made["changes"]] == ["shop"]
    assert made["diff"]["after"] == "public.orders: 5 rows\n"


def test_sequences_are_those_of_the_dump_because_the_live_ones_move_on(params):
    run(params)
    (backup,) = list_backups(Path(params["directory"]), "shop")
    assert backup.manifest["content"]["sequences"] == {"public.orders_id_seq": [7, True]}


def test_of_a_newer_archive_the_sequences_are_left_open(server, params):
    server.held = None
    run(params)
    assert "sequences" not in list_backups(Path(params["directory"]), "shop")[0].manifest["content"]


@pytest.mark.parametrize(
    ("content", "lacks"),
    [
        ({"tables": {"public.orders": 5, "public.lost": 1}, "sequences": {}}, "public.lost"),
        ({"tables": {}, "sequences": {"public.lost_id_seq": [1, True]}}, "public.lost_id_seq"),
    ],
)
def test_a_dump_that_lacks_what_was_counted_is_no_backup(server, params, content, lacks):
    server.content = {**CONTENT, **content}
    with pytest.raises(BackupError, match=f"the dump of shop lacks what was counted beside it: {lacks}"):
        run(params)
    assert files(Path(params["directory"])) == [".shop.lock"]


def test_check_mode_says_what_would_be_made_and_writes_nothing(server, params, tmp_path):
    told = run(params, check_mode=True)
    assert told["changed"]
    assert told["backup"] is None
    assert told["expected_bytes"] == 5_000_000
    assert told["actions"] == [
        f"back up shop to {params['directory']}/shop_<time> (directory format, gzip, up to 5 MB)"
    ]
    assert files(tmp_path) == []
    assert server.target.asked == ["SELECT pg_database_size"]


def test_the_second_one_is_told_beside_the_first(server, params):
    run(params)
    server.now += timedelta(hours=1)
    server.content = {**CONTENT, "tables": {"public.orders": 8}}
    made = run(params)
    assert made["diff"] == {"before": "public.orders: 5 rows\n", "after": "public.orders: 8 rows\n"}
    assert made["changes"][0]["before"] == made["changes"][0]["after"] == 5


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("age", "changed"),
    [
        pytest.param(timedelta(hours=19), False, id="young enough"),
        pytest.param(timedelta(hours=21), True, id="too old"),
        pytest.param(timedelta(minutes=-1), False, id="a minute ahead: clocks differ"),
        pytest.param(timedelta(days=-400), True, id="a year ahead: a clock was wrong, which must not end all backups"),
    ],
)
def test_a_backup_that_is_young_enough_is_kept(server, params, check_mode, age, changed):
    server.now = NOW - age
    first = run(params)
    server.now = NOW
    again = run({**params, "unless_younger_than": "20h"}, check_mode=check_mode)
    assert again["changed"] == changed
    if not changed:
        assert again["backup"] == first["backup"]
        assert again["actions"] == again["changes"] == []


def test_what_a_killed_run_left_is_deleted_and_said(server, params):
    left = Path(params["directory"]) / "shop_20261120T020000Z.partial"
    left.mkdir(parents=True)
    assert run(params, check_mode=True)["actions"][0] == f"delete {left.name}, left by a run that was killed"
    assert left.exists()
    assert run(params)["actions"][0] == f"delete {left.name}, left by a run that was killed"
    assert not left.exists()
    assert "SELECT count" in server.target.asked, "its sessions are ended first"


@pytest.mark.parametrize("check_mode", [True, False])
def test_two_at_a_time_are_refused(params, check_mode):
    Path(params["directory"]).mkdir()
    with locked(Path(params["directory"]), "shop"), pytest.raises(BackupError, match="works on the backups shop in"):
        run(params, check_mode=check_mode)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"set": "a/b"}, "'a/b' cannot name a set of backups"),
        ({"directory": "backups"}, "directory is backups: give its whole path"),
        ({"jobs": 0}, "jobs is 0: it must be at least 1"),
        ({"timeout_seconds": -1}, "timeout_seconds is -1: it must be at least 1"),
        ({"min_free_percent": 100}, "min_free_percent is 100: a share is between 0 and 100"),
        ({"unless_younger_than": "soon"}, "'soon' is not a duration"),
        ({"min_free_percent": 99.99}, "must stay free"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(params, given, message):
    with pytest.raises(BackupError) as raised:
        run({**params, **given})
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(Path(params["directory"]).glob("*")) if Path(params["directory"]).exists() else True


@pytest.mark.parametrize("first_fails", [True, False])
def test_where_one_of_two_fails_the_other_is_ended_and_the_first_failure_is_told(params, first_fails):
    job = Job({**{name: spec.get("default") for name, spec in _pg_backup.ARGUMENTS.items()}, **params})
    ended = []
    job.end_sessions = lambda: ended.append(True)

    def fails():
        raise PipelineError("the real reason")

    def is_ended():
        while not ended:
            pass
        raise PipelineError("terminating connection due to administrator command")

    with pytest.raises(PipelineError, match="the real reason"):
        job.side_by_side(*((fails, is_ended) if first_fails else (is_ended, fails)))
    assert ended == [True]


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device"), "is full: nothing of this backup was kept", id="we write"
        ),
        pytest.param(
            PipelineError(
                "x", name="pg_dump", stderr="pg_dump: error: could not write to file: No space left on device\n"
            ),
            "is full: nothing of this backup was kept",
            id="pg_dump writes",
        ),
        pytest.param(
            OSError(errno.EROFS, "Read-only file system", "/b"),
            "cannot write the backup: Read-only file system: /b",
            id="read-only",
        ),
        pytest.param(
            PipelineError(
                "x",
                name="pg_dump",
                stderr="pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n"
                "pg_dump: detail: Query was: LOCK TABLE public.empty IN ACCESS SHARE MODE\n",
            ),
            "a table of shop is being changed, and was locked for 60 s: run this again later",
            id="a table is locked",
        ),
        pytest.param(
            PipelineError("zstd failed (1): no", name="zstd", stderr="no"), "zstd failed (1): no", id="a compressor"
        ),
    ],
)
def test_what_went_wrong_is_one_line(params, raised, words):
    with pytest.raises(BackupError) as told, _explained({**params, "lock_timeout_seconds": 60}):
        raise raised
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_nothing_of_a_backup_that_fails_stays(server, params, monkeypatch):
    run(params)
    before = files(Path(params["directory"]))
    server.now += timedelta(hours=1)
    monkeypatch.setattr(
        Draft, "seal", lambda *_args: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(BackupError, match="the earlier ones are as they were"):
        run(params)
    assert files(Path(params["directory"])) == before


def test_a_result_without_a_backup_has_all_keys():
    keys = {"changed", "actions", "backup", "changes", "diff", "expected_bytes"}
    assert set(result(None, None, changed=False)) == keys
