# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor knows survives kills, half-written files and a full disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_store
from ansible_collections.runbook.ops.plugins.module_utils._monitor_store import Store
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

DAY = 86400


@pytest.fixture
def store(tmp_path):
    one = Store(str(tmp_path / "disk"), str(tmp_path / "memory"))
    with one.locked():
        pass
    return one


def fill_disk(monkeypatch, store):
    """Let writes below the store's directory fail as on a full disk."""
    real = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(store.directory):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(_monitor_store.os, "fsync", fsync)


def test_what_is_saved_is_loaded(store):
    state = store.load()
    state["number"] = 5
    assert store.save(state) is None
    assert store.load() == state
    assert store.state.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', "\xff", '{"version": 1}'])
def test_a_state_that_cannot_be_read_is_begun_anew(store, content):
    store.state.write_text(content, encoding="latin-1")
    assert store.load()["outbox"] == []


def test_a_full_disk_keeps_the_old_state_and_the_new_one_in_memory(store, monkeypatch):
    state = store.load()
    store.save(state)
    old = store.state.read_text(encoding="utf-8")
    with monkeypatch.context() as patch:
        fill_disk(patch, store)
        state["number"] = 1
        assert "No space left" in store.save(state)
    assert store.state.read_text(encoding="utf-8") == old
    assert store.load()["number"] == 1
    assert [path.name for path in store.directory.iterdir()] == ["state.json"]
    assert store.save(store.load()) is None
    assert not store.spare.exists()
    assert store.load()["number"] == 1


def test_the_newer_of_two_states_counts(store):
    state = store.load()
    replace_file(store.spare, json.dumps({**state, "saved": 1, "number": 1}).encode())
    replace_file(store.state, json.dumps({**state, "saved": 2, "number": 2}).encode())
    assert store.load()["number"] == 2


def test_two_runs_do_not_meet(store):
    with store.locked() as first, store.locked() as second:
        assert (first, second) == (True, False)


def test_history_is_kept_by_the_hour_and_for_some_days(store):
    for now in range(0, 3 * DAY, 300):
        store.remember({"values": {"disk:/": now}}, now, every_seconds=3540, days=1)
    lines = [json.loads(line) for line in store.history.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 25
    assert lines[-1]["at"] - lines[0]["at"] == DAY
    assert lines[-1]["values"] == {"disk:/": 3 * DAY - 3600}


@pytest.mark.parametrize("torn", [b'{"at": 5, "val', b"\x00\xff\n", b"null\n"])
def test_a_line_that_a_crash_cut_off_costs_that_line_only(store, torn):
    store.remember({}, 1000, every_seconds=10, days=1)
    with store.history.open("ab") as file:
        file.write(torn)
    store.remember({}, 2000, every_seconds=10, days=1)
    store.remember({}, 3000, every_seconds=10, days=1)
    assert [json.loads(line)["at"] for line in store.history.read_text(encoding="utf-8").splitlines()] == [
        1000,
        2000,
        3000,
    ]
