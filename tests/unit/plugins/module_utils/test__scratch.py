# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories to try something in."""

from __future__ import annotations

import fcntl
import os

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _scratch
from ansible_collections.runbook.ops.plugins.module_utils._scratch import PREFIX, clean_up_scratch, scratch_directory
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError


def test_nothing_of_it_stays(tmp_path):
    with pytest.raises(RuntimeError), scratch_directory(tmp_path, "redis", needed=1) as path:
        (path / "dump").write_text("x")
        assert path.stat().st_mode & 0o777 == 0o700
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_goes_and_what_one_works_in_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(_scratch, "YOUNG_SECONDS", 0)
    left, used, foreign = tmp_path / f"{PREFIX}a", tmp_path / f"{PREFIX}b", tmp_path / "mine"
    for path in (left, used, foreign):
        path.mkdir()
    handle = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert clean_up_scratch(tmp_path) == [left.name]
    finally:
        os.close(handle)
    assert used.exists() and foreign.exists()


def test_a_new_one_is_left_alone_before_it_is_locked(tmp_path):
    (tmp_path / f"{PREFIX}a").mkdir()
    assert clean_up_scratch(tmp_path) == []


def test_too_little_room_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no room"), scratch_directory(tmp_path, "redis", needed=10**19):
        pass
