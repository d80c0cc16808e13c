# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Redis server keeps its files, and what runs it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _redis_host
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Outcome
from ansible_collections.runbook.ops.plugins.module_utils._redis import Refusal, Server
from ansible_collections.runbook.ops.plugins.module_utils._redis_host import (
    Layout,
    Service,
    container_of,
    on_host,
    read_layout,
    saves_when_stopped,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

MOUNTS = {
    "Mounts": [
        {"Destination": "/data", "Source": "/var/lib/docker/volumes/redis/_data"},
        {"Destination": "/data/more", "Source": "/srv/more"},
        {"Destination": "/run", "Source": ""},
    ]
}


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("/data", "/var/lib/docker/volumes/redis/_data"),
        ("/data/x", "/var/lib/docker/volumes/redis/_data/x"),
        ("/data/more/x", "/srv/more/x"),
    ],
)
def test_a_directory_of_a_container_is_found_in_its_volume(inside, outside):
    assert on_host(MOUNTS, inside) == outside


@pytest.mark.parametrize("inside", ["/", "/database", "/run/x"])
def test_what_is_in_no_volume_is_refused(inside):
    with pytest.raises(StoreError, match="is in no volume"):
        on_host(MOUNTS, inside)


@pytest.mark.parametrize(
    ("settings", "log"),
    [
        pytest.param({"appendonly": "no", "appendfilename": "a.aof", "appenddirname": "logs"}, (None, None), id="no log"),
        pytest.param({"appendonly": "yes", "appendfilename": "a.aof"}, ("a.aof", None), id="a log of one file"),
        pytest.param({"appendonly": "yes", "appendfilename": "a.aof", "appenddirname": "logs"}, ("logs", "a.aof"), id="a log of many files"),
    ],
)  # fmt: skip
def test_the_server_says_where_its_files_are(settings, log, tmp_path, monkeypatch):
    known = {"dir": str(tmp_path), "dbfilename": "d.rdb", **settings}

    def answer(_server, commands, *, timeout_seconds):
        assert timeout_seconds
        return [[name, known[name]] if name in known else [] for _config, _get, name in commands]

    monkeypatch.setattr(_redis_host, "ask", answer)
    path = f"{tmp_path}/{log[0]}" if log[0] else None
    assert read_layout(Server(), {}, None) == Layout(str(tmp_path), f"{tmp_path}/d.rdb", path, log[1])


@pytest.mark.parametrize("files", [[], ["appendonlydir"], ["appendonly.aof"]])
@pytest.mark.parametrize("append_only", [True, False, None])
def test_of_a_server_that_is_down_it_can_be_told(files, append_only, tmp_path):
    for name in files:
        (tmp_path / name).mkdir()
    layout = read_layout(Server(), {"data_directory": str(tmp_path), "append_only": append_only}, None)
    log = "appendonly.aof" if "appendonly.aof" in files else "appendonlydir"
    assert layout.dump == f"{tmp_path}/dump.rdb"
    assert layout.log == (f"{tmp_path}/{log}" if append_only or (files and append_only is None) else None)


@pytest.mark.parametrize(
    ("settings", "saves"),
    [
        pytest.param({"save": "3600 1", "appendonly": "no"}, True, id="a dump"),
        pytest.param({"save": "", "appendonly": "no"}, False, id="neither"),
        pytest.param({"save": "", "appendonly": "yes"}, True, id="a log"),
        pytest.param({"save": "3600 1", "appendonly": "no", "shutdown-on-sigterm": "nosave now"}, False, id="not when it is stopped"),
        pytest.param({"save": "", "appendonly": "no", "shutdown-on-sigterm": "save"}, True, id="when it is stopped only"),
        pytest.param({"save": "3600 1", "appendonly": "no", "shutdown-on-sigterm": "default"}, True, id="as it is"),
        pytest.param({}, None, id="it does not tell"),
    ],
)  # fmt: skip
def test_whether_a_server_writes_what_it_holds_when_it_stops_is_asked(settings, saves, monkeypatch):
    monkeypatch.setattr(
        _redis_host,
        "ask",
        lambda _server, commands, **_options: [
            [name, settings[name]] if name in settings else Refusal("ERR") if not settings else []
            for _config, _get, name in commands
        ],
    )
    assert saves_when_stopped(Server()) is saves


def test_a_server_that_tells_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(_redis_host, "ask", lambda *_arguments, **_options: [Refusal("ERR unknown command")] * 5)
    with pytest.raises(StoreError, match="set data_directory"):
        read_layout(Server(), {}, None)


@pytest.mark.parametrize(("unit", "container"), [(None, None), ("a.service", "b"), ("-a; rm", None)])
def test_what_runs_it_must_be_said_once(unit, container):
    with pytest.raises(StoreError):
        Service(unit, container, 10)


@pytest.mark.parametrize(
    ("service", "commands"),
    [
        (Service("r.service", None, 9), [["systemctl", "stop", "r.service"], ["systemctl", "reset-failed", "r.service"], ["systemctl", "start", "r.service"]]),
        (Service(None, "r", 9), [["docker", "stop", "-t", "120", "r"], ["docker", "start", "r"]]),
    ],
    ids=["a unit", "a container"],
)  # fmt: skip
def test_it_is_stopped_and_started_by_what_runs_it(service, commands, monkeypatch):
    called = []

    def run(stages, *, timeout_seconds):
        assert timeout_seconds
        called.append(list(stages[0].argv))
        return Outcome(b"", 0, (), 0.0)

    monkeypatch.setattr(_redis_host, "run_pipeline", run)
    service.stop()
    service.start()
    assert called == commands


def test_a_container_that_is_stopped_is_found_where_none_runs(monkeypatch):
    known = [SimpleNamespace(name="a", status="exited"), SimpleNamespace(name="b", status="running")]
    monkeypatch.setattr(_redis_host, "containers", lambda **_place: known)
    assert container_of({"project": "shop", "service": "redis"}) == "b"
    assert container_of({}) is None
    del known[1]
    assert container_of({"project": "shop", "service": "redis"}) == "a"
    with pytest.raises(StoreError, match="start it, or set data_directory"):
        read_layout(None, {}, "a")
    del known[0]
    with pytest.raises(StoreError, match="no container of shop/redis"):
        container_of({"project": "shop", "service": "redis"})
