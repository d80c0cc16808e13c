# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grows is on its way to the disk before anybody waits for it, and nothing goes wrong where it is not."""

from __future__ import annotations

import os
import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _writeback
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import HashingFile
from ansible_collections.runbook.ops.plugins.module_utils._writeback import begin, early


@pytest.fixture
def asked(monkeypatch):
    """The files, by their inode, that the kernel was asked to write."""
    found = []
    monkeypatch.setattr(_writeback, "EVERY", 1000)
    monkeypatch.setattr(_writeback, "begin", lambda descriptor: found.append(os.fstat(descriptor).st_ino))
    return found


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_a_file_that_grows_is_asked_for_each_time_it_has_grown_enough(tmp_path, asked):
    path = tmp_path / "1.dat"
    path.write_bytes(b"x" * 1000)
    with early(tmp_path, pause=0.005):
        assert wait_for(lambda: len(asked) == 1)
        path.write_bytes(b"x" * 1999)
        time.sleep(0.05)
        assert len(asked) == 1, "too little is new"
        path.write_bytes(b"x" * 2000)
        assert wait_for(lambda: len(asked) == 2)
    assert set(asked) == {path.stat().st_ino}


def test_what_is_no_file_holds_nobody(tmp_path, asked):
    (tmp_path / "large").write_bytes(b"x" * 5000)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "large")
    with early(tmp_path, pause=0.005):
        assert wait_for(lambda: asked)
    assert set(asked) == {(tmp_path / "large").stat().st_ino}


def test_a_directory_that_vanishes_is_nobodys_failure(tmp_path):
    place = tmp_path / "gone"
    with early(place, pause=0.001):
        time.sleep(0.02)
    assert not any(thread.daemon and thread.is_alive() and "work" in thread.name for thread in threading.enumerate())


def test_a_failure_beside_it_is_told_and_its_helper_ends(tmp_path):
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="broken"), early(tmp_path):
        raise ValueError("broken")
    assert set(threading.enumerate()) <= before, "those of other tests may end meanwhile"


def test_the_kernel_takes_the_hint(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * 100_000)
        begin(file.fileno())


def test_a_system_without_it_goes_without(tmp_path, monkeypatch):
    monkeypatch.setattr(_writeback, "LIBC", object())
    with (tmp_path / "file").open("wb") as file:
        begin(file.fileno())


def test_a_file_that_we_write_ourselves_is_asked_for_as_it_grows(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._backup_draft.EVERY", 3000)
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._backup_draft.begin", asked.append)
    with HashingFile(tmp_path / "file") as file:
        for _number in range(10):
            file.write(b"x" * 1000)
    assert len(asked) == 3
