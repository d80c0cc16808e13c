# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Redis server is to start on, and what a scratch one says when it does not."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _redis_restore, _redis_starter
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import make_item
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError
from ansible_collections.runbook.ops.plugins.module_utils._redis_restore import _write_new
from ansible_collections.runbook.ops.plugins.module_utils._redis_scratch import ScratchRedis, free_memory, last_words
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

SERVER = {"user": None, "password": None, "container": None, "service": None}
CONTENT = {"databases": {"0": {}}, "used_memory_bytes": 1}


@pytest.fixture
def dump(tmp_path):
    (tmp_path / "tried.rdb").write_bytes(b"REDIS0010")
    return tmp_path / "tried.rdb"


@pytest.mark.parametrize(
    ("saved_as", "from_name", "words"),
    [("other", "", "of the Redis server other, not of main: take another, or set from_name to other"), ("main", "other", "not of other")],
    ids=["of another server", "not of the one that is named"],
)  # fmt: skip
def test_a_backup_of_another_server_is_refused(saved_as, from_name, words):
    backup = SimpleNamespace(path="/b/1", manifest={"database": saved_as, "content": {}})
    with pytest.raises(StoreError, match=words):
        _redis_restore.RedisRestore({"name": "main", "from_name": from_name}).plan(backup, "x")


@pytest.mark.parametrize(
    ("saves", "line"), [(True, False), (None, True), (RedisDownError("refused"), False)], ids=["it saves", "not known", "it is down"]
)  # fmt: skip
def test_a_server_that_would_forget_what_it_holds_is_not_stopped(saves, line, tmp_path, monkeypatch):
    told = [saves]

    def ask_it(_server):
        if isinstance(told[0], Exception):
            raise told[0]
        return told[0]

    def look_at(_server):
        raise StoreError("refused")

    monkeypatch.setattr(_redis_restore, "saves_when_stopped", ask_it)
    monkeypatch.setattr(_redis_restore, "look_at", look_at)
    content = {"databases": {"0": {"keys": 1}}, "size_bytes": 1}
    backup = SimpleNamespace(path="/b/1", manifest={"database": "main", "content": content})
    params = {"name": "main", "from_name": "", "unit": "redis.service", "data_directory": str(tmp_path)}
    places = {"host": "127.0.0.1", "port": 6379, "timeout_seconds": 9, "min_free_percent": 0, **SERVER}
    restore = _redis_restore.RedisRestore({**places, **params})
    assert any("is not known: CONFIG GET" in said for said in restore.plan(backup, "x")["lines"]) is line
    told[0] = False
    with pytest.raises(StoreError, match=r"writes nothing when it stops .*CONFIG SET save"):
        restore.plan(backup, "x")


def test_a_new_dump_has_the_mode_of_the_live_one(dump, tmp_path):
    live = tmp_path / "dump.rdb"
    live.write_text("old")
    live.chmod(0o640)
    item = make_item(str(live), "x")
    _write_new(dump, item)
    assert (tmp_path / "dump.rdb.restored-x").read_bytes() == b"REDIS0010"
    assert (tmp_path / "dump.rdb.restored-x").stat().st_mode & 0o7777 == 0o640


def test_with_a_log_the_dump_is_its_base(dump, tmp_path):
    item = {**make_item(str(tmp_path / "appendonlydir"), "x"), "log_name": "appendonly.aof"}
    tmp_path.chmod(0o2755)
    _write_new(dump, item)
    new = tmp_path / "appendonlydir.restored-x"
    assert sorted(path.name for path in new.iterdir()) == ["appendonly.aof.1.base.rdb", "appendonly.aof.manifest"]
    assert (new / "appendonly.aof.manifest").read_text() == "file appendonly.aof.1.base.rdb seq 1 type b\n"
    assert (new / "appendonly.aof.1.base.rdb").read_bytes() == b"REDIS0010"
    assert new.stat().st_mode & 0o7777 == 0o750


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("1:M 21 Nov * Ready\n1:M 21 Nov # Can't handle RDB format version 12\n1:M 21 Nov * Bye\n", "Can't handle RDB format version 12"),
        ("one\ntwo\n\n", "two"),
        ("", "it said nothing"),
    ],
    ids=["a warning", "no warning", "nothing"],
)  # fmt: skip
def test_the_last_warning_is_what_it_ended_of(log, said):
    assert last_words(log) == said


def test_free_memory_is_what_the_kernel_says():
    assert free_memory("MemTotal: 9 kB\nMemAvailable:    2 kB\n") == 2048
    assert free_memory("") == 0


def test_without_a_server_or_memory_it_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name, path: None if path else "x")
    with pytest.raises(StoreError, match="install the package redis-server"):
        ScratchRedis(tmp_path, CONTENT)
    monkeypatch.setattr("shutil.which", lambda name, path: f"{path}/{name}")
    with pytest.raises(StoreError, match="of memory"):
        ScratchRedis(tmp_path, {**CONTENT, "used_memory_bytes": 10**15})


def test_where_none_is_installed_the_image_of_the_live_one_serves(tmp_path, monkeypatch):
    removed = []
    monkeypatch.setattr("shutil.which", lambda name, path: f"{path[:4]}/docker" if name == "docker" else None)
    labels = [{_redis_starter.LABEL: str(tmp_path)}, {_redis_starter.LABEL: str(tmp_path / "gone")}]
    listed = [{"Names": [f"/scratch{number}"], "Labels": label} for number, label in enumerate(labels)]
    monkeypatch.setattr(_redis_starter, "ask_docker", lambda _path: listed)
    monkeypatch.setattr(_redis_starter, "_remove", lambda _docker, name: removed.append(name))
    start = _redis_starter.starter(tmp_path, "redis:8")
    assert removed == ["scratch1"] and start.directory == "/data"
    assert start.argv[:2] == ("/usr/docker", "run") and start.argv[-2:] == ("redis-server", "redis:8")
    assert ("--network", "none") in zip(start.argv, start.argv[1:])


def test_a_server_that_does_not_start_is_told_by_its_last_words(tmp_path, monkeypatch):
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\necho '1:M 1 Jan # Bad file format' > {tmp_path}/log\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _name, path: str(program) if path else None)
    with pytest.raises(StoreError, match="Bad file format"), ScratchRedis(tmp_path, CONTENT, timeout_seconds=10):
        pass


class Clock:
    """Time that passes only while somebody waits."""

    now = 0.0

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("said", "seconds", "words"),
    [
        pytest.param(lambda now: {"loading": "1" if now < 500 else "0"}, 500, None, id="it loads for long"),
        pytest.param(lambda _now: None, 30, "does not serve after its start: refused", id="it says nothing"),
        pytest.param(lambda _now: {"loading": "1"}, 600, "still loading", id="it never ends loading"),
        pytest.param(lambda _now: {"rdb_last_load_keys_loaded": "6", "rdb_last_load_keys_expired": "1"}, 0, None, id="all keys"),
        pytest.param(lambda _now: {"rdb_last_load_keys_loaded": "6"}, 0, "6 keys instead of 7", id="too few keys"),
    ],
)  # fmt: skip
def test_a_started_server_is_given_time_to_load_but_not_to_be_silent(said, seconds, words, monkeypatch):
    clock = Clock()

    def look_at(_server):
        info = said(clock.now)
        if info is None:
            raise StoreError("refused")
        return info

    monkeypatch.setattr(_redis_restore, "look_at", look_at)
    monkeypatch.setattr(_redis_restore.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(_redis_restore.Service, "start", lambda _service: None)
    restore = _redis_restore.RedisRestore({"name": "main", "timeout_seconds": 600}, sleep=clock.sleep)
    with pytest.raises(StoreError, match=words) if words else nullcontext():
        restore.open({"unit": "r.service", "container": None, "keys": 7}, restored=True)
    assert seconds <= clock.now < seconds + 1
