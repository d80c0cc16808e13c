# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host: with real files, real processes, and workers that are stopped where it hurts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _change_lock
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import left_seconds
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import (
    Fence,
    LockError,
    LockHeldError,
    held,
    keeping,
    look,
    now,
    release,
    renew,
    take,
)

PLACE = {"system": "shop", "host": "web-1"}
WORKER = """
import sys, time
from pathlib import Path
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, LockError, held
directory, number, owner, within = sys.argv[1:]
Path(directory, "started").touch()
while not Path(directory, "go").exists():
    time.sleep(0.01)
try:
    with held(Fence(directory, int(number), owner)):
        Path(directory, "entered").touch()
        time.sleep(float(within))
        Path(directory, "committed").touch()
except LockError as exc:
    sys.exit(str(exc))
"""


def run_named(name: str) -> dict[str, str]:
    return {"id": name, "playbook": "deploy", "user": "ada", "controller": "laptop", "process": "-", "started_at": "-"}


def taken_by(directory: Path, name: str, *, lease: float = 900, **words: str) -> Fence:
    state, _ = take(str(directory), run_named(name), place=PLACE, lease_seconds=lease, **words)
    return Fence(str(directory), state["number"], name)


def worker(fence: Fence, *, within: float = 0, go: bool = True) -> subprocess.Popen[str]:
    if go:
        Path(fence.directory, "go").touch()
    argv = [sys.executable, "-c", WORKER, fence.directory, str(fence.number), fence.owner, str(within)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def appears(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.01)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "change"


def test_only_one_run_holds_it_and_the_refused_one_learns_by_whom(directory):
    taken_by(directory, "first")
    with pytest.raises(LockHeldError, match=r"deploy of ada on laptop changes this host since .* \(run first"):
        taken_by(directory, "second")
    assert release(str(directory), "first")
    assert taken_by(directory, "second").number == 2
    assert directory.stat().st_mode & 0o777 == 0o700


def test_its_owner_commits_and_who_was_taken_over_does_not(directory):
    old = taken_by(directory, "first", lease=0)
    with held(old):
        pass
    new = taken_by(directory, "second")
    with pytest.raises(LockError, match="taken over by deploy"), held(old):
        pytest.fail("it was let in")
    with pytest.raises(LockError):
        renew(old, lease_seconds=60)
    assert not release(str(directory), "first")
    with held(new):
        assert look(str(directory))["owner"] == "second"


def test_who_gave_it_back_does_not_commit_any_more(directory):
    fence = taken_by(directory, "first")
    assert release(str(directory), "first")
    assert not release(str(directory), "first")
    with pytest.raises(LockError, match="given back"), held(fence):
        pytest.fail("it was let in")


def test_without_a_number_no_lock_is_demanded(directory):
    fence = Fence(str(directory), 0, "")
    with keeping(fence), held(fence):
        assert not directory.exists()


def test_a_worker_that_slept_through_its_lease_before_its_commit_is_refused(directory):
    process = worker(taken_by(directory, "first", lease=0.2), go=False)
    appears(directory / "started")
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.25)
    taken_by(directory, "second")
    (directory / "go").touch()
    os.kill(process.pid, signal.SIGCONT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.strip().startswith("the lock 1 of run first was taken over by deploy (run second): nothing was written")
    assert not (directory / "committed").exists()


def test_a_worker_that_stands_within_its_commit_is_killed_before_another_takes_over(directory, monkeypatch):
    monkeypatch.setattr(_change_lock, "STEP_SECONDS", 0.3)
    process = worker(taken_by(directory, "first", lease=0.2), within=60)
    appears(directory / "entered")
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.25)
    assert taken_by(directory, "second").number == 2
    assert process.wait(20) == -signal.SIGKILL
    assert not (directory / "committed").exists()


def test_a_worker_within_its_commit_and_its_lease_is_left_alone_and_named(directory, monkeypatch):
    monkeypatch.setattr(_change_lock, "STEP_SECONDS", 0.3)
    process = worker(taken_by(directory, "first"), within=60)
    appears(directory / "entered")
    with pytest.raises(LockError, match=rf"process {process.pid} holds .*/lock and does not go on"):
        taken_by(directory, "second")
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_commit_that_is_at_work_is_waited_for(directory):
    process = worker(taken_by(directory, "first", lease=0), within=0.5)
    appears(directory / "entered")
    taken_by(directory, "second")
    assert (directory / "committed").exists()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_long_step_keeps_its_lease_and_ends_keeping_with_itself(directory):
    fence = taken_by(directory, "first", lease=0)
    with keeping(fence, lease_seconds=0.3):
        began = look(str(directory))["ends"]["ticks"]
        deadline = time.monotonic() + 20
        while look(str(directory))["ends"]["ticks"] == began:
            assert time.monotonic() < deadline, "the lease was never renewed"
            time.sleep(0.05)
    ended = look(str(directory))["ends"]["ticks"]
    time.sleep(0.3)
    assert look(str(directory))["ends"]["ticks"] == ended


def test_a_short_step_does_not_shorten_a_long_lease(directory):
    fence = taken_by(directory, "first", lease=21600)
    with keeping(fence, lease_seconds=60):
        assert left_seconds(look(str(directory)), now()) > 21000


def test_of_many_at_once_exactly_one_gets_it(directory):
    taken_by(directory, "first")
    release(str(directory), "first")
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]);"
        "from test__change_lock import taken_by; from pathlib import Path; taken_by(Path(sys.argv[1]), sys.argv[2])"
    )
    here = str(Path(__file__).parent)
    argv = [[sys.executable, "-c", code, str(directory), f"run-{number}", here] for number in range(6)]
    racing = [subprocess.Popen(one, stderr=subprocess.DEVNULL) for one in argv]
    assert sorted(one.wait(60) for one in racing) == [0, 1, 1, 1, 1, 1]
    assert look(str(directory))["number"] == 2


@pytest.mark.parametrize(
    "content",
    [pytest.param("", id="empty"), pytest.param("{", id="cut off"), pytest.param('{"format": 99}', id="newer")],
)
def test_a_lock_that_cannot_be_read_is_nobodys_to_take(directory, content):
    directory.mkdir(parents=True)
    (directory / "lock.json").write_text(content, encoding="utf-8")
    with pytest.raises(LockError, match=r"cannot read .*lock.json .* remove it once no run is at work"):
        taken_by(directory, "first")


def test_a_lock_that_cannot_be_written_is_not_taken(directory, monkeypatch):
    fence = taken_by(directory, "first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LockError, match="No space left on device"):
        renew(fence, lease_seconds=60)
    monkeypatch.undo()
    assert json.loads((directory / "lock.json").read_text(encoding="utf-8"))["lease_seconds"] == 900
