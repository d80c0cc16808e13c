# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test restores on a private cluster: what they prove, and what is left when they are killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify, _pg_backup, _pg_fill
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, list_backups
from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql import check_indexes
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import VARIABLE
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from backup_damages import Key
from pg_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
ZOO = Path(__file__).with_name("zoo.sql").read_text(encoding="utf-8")
ROLES = 'CREATE ROLE app; CREATE ROLE "Read Only"; CREATE ROLE tenant LOGIN;'
VERIFY = """
import json, sys
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify import run
run(json.loads(sys.stdin.read()))
"""
SCRATCH = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_scratch\\_%'"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runbook.ops backup_verify'"
LIVE = "SELECT json_agg(ARRAY[oid::text, datname::text] ORDER BY oid) FROM pg_database WHERE datname !~ '_scratch_'"


class Zoo:
    """A server with a database of one of everything, and a directory for its backups."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.directory = cluster, directory
        self.reach = {"login_unix_socket": str(cluster.directory), "run_as": cluster.user}
        cluster.sql(ROLES)
        cluster.sql("CREATE DATABASE zoo OWNER app")
        cluster.sql(ZOO, "zoo")
        self.live = cluster.sql(LIVE)

    def save(self, **options: Any) -> Backup:
        shutil.rmtree(self.directory, ignore_errors=True)
        _pg_backup.run({**self.reach, "database": "zoo", "directory": str(self.directory), **options})
        return list_backups(self.directory, "zoo")[0]

    def options(self, **options: Any) -> dict[str, Any]:
        return {**self.reach, "directory": str(self.directory), "set": "zoo", "drill": True, **options}

    def verify(self, **options: Any) -> dict[str, Any]:
        return _backup_verify.run(self.options(**options))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", VERIFY],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), **environment},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self.options()))
        process.stdin.close()
        return process

    def scratches(self) -> int:
        return int(self.cluster.sql(SCRATCH))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    with Cluster() as cluster:
        yield Zoo(cluster, tmp_path_factory.mktemp("backups") / "zoo")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="a directory, several sessions"),
        pytest.param({"compression": "zstd"}, id="one stream through zstd"),
        pytest.param({"compression": "none"}, id="not compressed"),
    ],
)
def test_a_backup_of_one_of_everything_passes(zoo: Zoo, how: dict[str, Any]) -> None:
    backup = zoo.save(**how)
    result = zoo.verify(canaries=["SELECT count(*) FROM users"], tables=["users"])
    assert result["problems"] == []
    proof = read_proof(backup)
    assert proof is not None
    drill = proof["drill"]
    assert (drill["passed"], drill["differences"], drill["amcheck"]) == (True, [], True)
    assert drill["canaries"] == {"SELECT count(*) FROM users": 990.0}
    assert zoo.scratches() == 0
    assert zoo.cluster.sql(LIVE) == zoo.live
    assert not zoo.verify()["changed"]


def test_a_directory_of_root_s_is_restored_through_a_copy_where_nothing_else_is_allowed(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pg_fill, "as_reader", lambda *_args: None)
    zoo.save()
    assert zoo.verify()["problems"] == []
    assert not (zoo.directory / ".zoo.drill").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"canaries": ["SELECT count(*) FROM empty_one"]}, "gives 0, and must be above 0"),
        ({"canaries": ["DELETE FROM users RETURNING 1"]}, "cannot execute DELETE in a read-only transaction"),
        ({"tables": ["public.gone"]}, "table public.gone must be in every backup"),
        ({"timeout_seconds": 0.01}, "did not end within"),
        ({"login_user": "tenant"}, "permission denied to create database"),
        ({"login_port": 1}, "is the server running"),
    ],
)
def test_what_keeps_a_backup_from_passing_is_told_and_nothing_is_left(
    zoo: Zoo, options: dict[str, Any], words: str
) -> None:
    backup = zoo.save()
    result = zoo.verify(**options)
    assert words in " ".join(result["problems"])
    assert zoo.scratches() == 0
    proof = read_proof(backup)
    assert proof is not None
    assert proof["drill"] is None


def test_a_role_that_the_server_lacks_is_named(zoo: Zoo) -> None:
    zoo.save()
    with Cluster() as other:
        result = zoo.verify(login_unix_socket=str(other.directory))
    assert "the server has no role Read Only, app, tenant" in result["problems"][0]


def test_another_server_can_be_used_that_has_the_roles_and_the_saved_one_is_not_asked(zoo: Zoo) -> None:
    zoo.save()
    with Cluster() as other:
        other.sql(ROLES)
        before = other.sql(LIVE)
        assert zoo.verify(login_unix_socket=str(other.directory))["problems"] == []
        assert other.sql(LIVE) == before
    assert zoo.cluster.sql(LIVE) == zoo.live


def test_a_database_of_somebody_else_is_never_dropped(zoo: Zoo) -> None:
    mine = "zoo_scratch_20261121t020005z_0badc0de"
    zoo.cluster.sql(f"CREATE DATABASE {mine}")
    try:
        zoo.save()
        assert zoo.verify()["problems"] == []
        assert zoo.scratches() == 1
    finally:
        zoo.cluster.sql(f"DROP DATABASE {mine}")


# The index holds what the function said when it was made.
LYING = """
CREATE FUNCTION half(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2';
CREATE TABLE numbers AS SELECT g AS id FROM generate_series(1, 100) g;
CREATE INDEX numbers_half ON numbers (half(id));
CREATE OR REPLACE FUNCTION half(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 3';
"""


@pytest.mark.parametrize(
    ("most_bytes", "sound"), [(1_000_000, False), pytest.param(1, True, id="only the order is checked"), (0, None)]
)
def test_an_index_that_does_not_hold_its_table_is_found(zoo: Zoo, most_bytes: int, sound: bool | None) -> None:
    zoo.cluster.sql("CREATE DATABASE lying")
    try:
        zoo.cluster.sql(LYING, "lying")
        told = check_indexes(PgTarget(zoo.reach), "lying", most_bytes)
        assert told[0] is sound
        assert sound is not False or "numbers_half" in str(told[1])
        assert zoo.cluster.sql("SELECT count(*) FROM pg_extension", "lying") == "1"
    finally:
        zoo.cluster.sql("DROP DATABASE lying")


class Watch(threading.Thread):
    """Reads over and over what every process shows of itself."""

    def __init__(self, secret: str) -> None:
        super().__init__(daemon=True)
        self.secret, self.seen, self.looks, self.ended = secret.encode(), set[str](), 0, threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            self.looks += 1
            for path in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
                with contextlib.suppress(OSError):
                    if self.secret in path.read_bytes():
                        self.seen.add(str(path))


def test_an_encrypted_backup_passes_with_its_key_only_and_nobody_else_sees_the_key(zoo: Zoo, tmp_path: Path) -> None:
    key, other = Key(tmp_path / "key", "right"), Key(tmp_path / "other", "wrong")
    backup = zoo.save(encryption={"method": "gpg", "recipients": [str(key.public)]})
    assert "encrypted with gpg: give the private key as identity" in zoo.verify()["problems"][0]
    wrong = zoo.verify(identity=other.private)
    assert "No secret key" in wrong["problems"][0]
    watch = Watch(key.private.splitlines()[3])
    watch.start()
    result = zoo.verify(identity=key.private)
    watch.ended.set()
    watch.join()
    assert result["problems"] == []
    assert result["backups"][0]["proven"]
    assert "sequences" in backup.manifest["content"]
    assert watch.looks > 3
    assert watch.seen == set()
    assert watch.secret.decode() not in json.dumps(result)
    assert not list(Path("/dev/shm").glob("runbook-ops-gpg-*"))
    assert zoo.scratches() == 0


POINTS = ("backup_verify:locked", "backup_verify:created", "backup_verify:restored")


@pytest.mark.parametrize("point", [*POINTS, "backup_verify:proven"])
def test_a_test_restore_that_is_killed_proves_nothing_and_the_next_one_clears_up(zoo: Zoo, point: str) -> None:
    backup = zoo.save()
    zoo.verify(drill=False)
    process = zoo.start(**{VARIABLE: point})
    assert process.wait(300) == -signal.SIGKILL
    proof = read_proof(backup)
    assert proof is not None
    assert bool(proof["drill"]) == (point not in POINTS)
    assert zoo.verify(drill_max_age="0s")["problems"] == []
    assert zoo.scratches() == 0
    assert zoo.cluster.sql(LIVE) == zoo.live


@pytest.mark.parametrize("delay", [0.4, 0.9])
def test_killed_with_all_that_it_started_at_any_moment_the_next_one_clears_up(zoo: Zoo, delay: float) -> None:
    zoo.save()
    process = zoo.start()
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(300)
    deadline = time.monotonic() + 60
    while int(zoo.cluster.sql(SESSIONS)) and time.monotonic() < deadline:
        time.sleep(0.1)  # the server has not seen yet that its clients have gone
    assert zoo.verify(drill_max_age="0s")["problems"] == []
    assert zoo.scratches() == 0
    assert zoo.cluster.sql(LIVE) == zoo.live
    assert sorted(path.name for path in zoo.directory.iterdir() if path.suffix != ".lock") == [
        one.name for one in list_backups(zoo.directory, "zoo")
    ]
