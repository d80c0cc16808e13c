# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, take
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_work import end_left_behind, working


@pytest.fixture
def paths(tmp_path):
    found = DeployPaths("api", root=str(tmp_path))
    found.make()
    return found


def test_a_second_call_is_refused_while_one_is_at_work_and_not_afterwards(paths):
    with (
        working(paths, seconds=0),
        pytest.raises(StateError, match="another call is at work on api"),
        working(paths, seconds=0.1),
    ):
        pass
    with working(paths, seconds=0):
        pass


def at_work(paths, fence):
    """Return a process that holds the service with a lock, and is stopped."""
    script = f"""
import os, signal
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._deploy_work import working
with working(DeployPaths("api", root={str(paths.directory.parent)!r}), seconds=1, fence=Fence(*{tuple(fence)!r})):
    os.kill(os.getpid(), signal.SIGSTOP)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    return process


def taken_by(directory, name):
    state, _before = take(str(directory), {"id": name}, place={}, lease_seconds=60, broken="one")
    return Fence(str(directory), state["number"], name)


def test_a_call_that_is_stopped_is_ended_by_the_run_that_took_its_lock_over(paths, tmp_path):
    older = at_work(paths, taken_by(tmp_path / "change", "one"))
    with working(paths, seconds=20, fence=taken_by(tmp_path / "change", "two"), grace_seconds=0.1):
        assert older.wait(10) == -signal.SIGKILL


def test_a_call_of_the_same_lock_or_of_none_is_left_alone(paths, tmp_path):
    mine = taken_by(tmp_path / "change", "one")
    for fence in (mine, Fence("", 0, "")):
        other = at_work(paths, fence)
        with (
            pytest.raises(StateError, match="another call"),
            working(paths, seconds=0.5, fence=mine, grace_seconds=0.1),
        ):
            pass
        assert other.poll() is None
        other.kill()
        other.wait()


def test_who_was_taken_over_ends_nobody(paths, tmp_path):
    mine = taken_by(tmp_path / "change", "one")
    newer = at_work(paths, taken_by(tmp_path / "change", "two"))
    with pytest.raises(StateError, match="another call"), working(paths, seconds=0.5, fence=mine, grace_seconds=0.1):
        pass
    assert newer.poll() is None
    newer.kill()
    newer.wait()


def test_a_build_that_was_left_behind_is_ended_and_no_other(paths, tmp_path):
    end_left_behind(paths.lock, Fence("", 0, ""))
    mine = taken_by(tmp_path / "change", "one")
    same = at_work(paths, mine)
    end_left_behind(paths.lock, mine)
    assert same.poll() is None
    end_left_behind(paths.lock, taken_by(tmp_path / "change", "two"))
    assert same.wait(10) == -signal.SIGKILL
