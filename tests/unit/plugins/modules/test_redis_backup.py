# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _redis_backup
from ansible_collections.runbook.ops.plugins.module_utils._crc64 import crc64
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, RedisRefusedError
from ansible_collections.runbook.ops.plugins.modules import redis_backup, redis_restore

BODY = b"REDIS0010\xfe\x00\x00\x01k\x01v\xff"
DUMP = BODY + crc64(BODY).to_bytes(8, "little")
INFO = "# Memory\r\nused_memory_dataset:100\r\nloading:0\r\naof_enabled:1\r\n"


@pytest.fixture
def run(end_of, monkeypatch, tmp_path):
    def go(module, *, info=INFO, dump=DUMP, **options):
        def ask(_server, _commands, *, timeout_seconds):
            assert timeout_seconds
            if isinstance(info, Exception):
                raise info
            return [info]

        monkeypatch.setattr(_redis_backup, "ask", ask)
        monkeypatch.setattr(_redis_backup, "fetch_rdb", lambda *_server, **_limit: iter([dump[:9], dump[9:]]))
        places = {"directory": str(tmp_path / "backups"), "journal_directory": str(tmp_path / "journal")}
        return end_of(module, **{**places, "name": "main", "set": "main-redis", "min_free_percent": 0, **options})

    return go


def test_what_the_server_sent_is_told(run):
    result = run(redis_backup, password="s3cret")
    content = result["backup"]["content"]
    assert result["changed"] and content["append_only"]
    assert (content["databases"]["0"]["keys"], content["used_memory_bytes"]) == (1, 100)
    assert "s3cret" not in str(result)


def test_check_mode_looks_but_does_not_fetch(run, tmp_path):
    result = run(redis_backup, check_mode=True, dump=b"")
    assert result["changed"] and result["backup"]["needed_bytes"] == 100
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"info": RedisDownError("connection refused")}, "does not answer: connection refused", id="down"),
        pytest.param({"info": RedisRefusedError("WRONGPASS")}, "correct host, port, user or password", id="wrong password"),
        pytest.param({"info": "loading:1\r\n"}, "still loading its data", id="loading"),
        pytest.param({"dump": DUMP[:-3]}, "it was cut off", id="cut off"),
        pytest.param({"dump": DUMP[:-1] + b"x"}, "the dump is damaged", id="damaged"),
        pytest.param({"set": "a/b"}, "cannot name a set", id="a set with a slash"),
    ],
)  # fmt: skip
def test_what_cannot_be_backed_up_is_said_in_one_line_and_leaves_nothing(run, options, words, tmp_path):
    said = run(redis_backup, **options)["msg"]
    assert said.startswith("Redis main was not backed up: ") and words in said and "\n" not in said
    assert not list(tmp_path.glob("backups/main*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"state": "swapped"}, "run with state prepared first", id="nothing prepared"),
        pytest.param({"state": "prepared", "backup": "latest"}, "there is no whole backup", id="no backup"),
    ],
)
def test_a_restore_that_cannot_be_is_said_in_one_line(run, options, words):
    assert words in run(redis_restore, **options)["msg"]
