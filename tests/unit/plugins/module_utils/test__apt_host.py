# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg has left half-done is told from what is wrong for good, and another program's lock is waited for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _apt_host
from ansible_collections.runbook.ops.plugins.module_utils._apt_host import Apt, guarded, started, sweep
from ansible_collections.runbook.ops.plugins.module_utils._apt_install import AptError, policy
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError

BUSY = (2, "", "dpkg: error: dpkg frontend lock was locked by another process with pid 7\n")


class Module:
    """Stands for a module on a host with apt, whose programs give these answers, one after the other."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def get_bin_path(self, name, **_how):
        return f"/usr/bin/{name}"

    def run_command(self, argv, **_how):
        self.calls.append(argv)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("installed\nconfig-files\nnot-installed\n", False),
        ("installed\nhalf-installed\n", False),
        ("installed\nunpacked\n", True),
        ("half-configured\n", True),
        ("triggers-pending\n", True),
    ],
)
def test_cut_off_is_what_dpkg_can_finish_by_itself(states, expected):
    assert Apt(Module((0, states, ""))).is_cut_off() is expected


def test_versions_are_those_that_are_unpacked():
    told = "a:all 2 installed\nb:amd64 2 unpacked\nb:i386 1 installed\nc:amd64 2 config-files\nd:amd64 1 half-installed\ne:  not-installed\n"
    found = Apt(Module((0, told, ""))).versions()
    assert found == {"a": {"2"}, "a:all": {"2"}, "b": {"2", "1"}, "b:amd64": {"2"}, "b:i386": {"1"}}


def test_another_program_that_installs_is_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(_apt_host.time, "sleep", waits.append)
    module = Module(BUSY, (0, "", ""))
    Apt(module).configure(lock_timeout_seconds=60)
    assert (len(module.calls), len(waits)) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "patience"),
    [(BUSY, 0), ((1, "", "dpkg: error processing package a\n"), 60)],
    ids=["no longer than asked for", "another failure"],
)
def test_what_waiting_does_not_mend_fails_at_once(answer, patience):
    module = Module(answer)
    with pytest.raises(CommandError):
        Apt(module).configure(lock_timeout_seconds=patience)
    assert len(module.calls) == 1


class Killed(BaseException):
    """The end of a run that nothing follows."""


def killed(_argv):
    raise Killed


class Marked(Module):
    """Has a package that apt-get marks as asked for by hand, as it does with all that are named."""

    def __init__(self, during=lambda _argv: None):
        super().__init__()
        self.automatic, self.during = {"libc", "old"}, during

    def run_command(self, argv, **_how):
        program, rest = argv[0].rpartition("/")[2], argv[1:]
        if program == "apt-mark" and rest[0] == "auto":
            self.automatic |= set(rest[1:])
        elif program == "apt-mark":
            told = {"showauto": self.automatic, "showmanual": {"libc", "old", "nginx"} - self.automatic}[rest[0]]
            return 0, "\n".join(told), ""
        else:
            self.automatic -= {"libc"}
            self.during(argv)
        return 0, "", ""


def test_what_others_need_stays_known_as_that(tmp_path):
    module = Marked()
    Apt(module, tmp_path).install(["install", "libc=2", "nginx=2"], limit=9)
    assert module.automatic == {"libc", "old"}
    assert not (tmp_path / _apt_host.MARKS).exists()


def test_a_run_that_was_killed_leaves_its_marks_to_the_next_one(tmp_path, monkeypatch):
    module = Marked(killed)
    apt = Apt(module, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Apt, "restore_marks", lambda _self: None)  # what runs after a kill
        apt.install(["install", "libc=2", "nginx=2"], limit=9)
    assert (module.automatic, apt.lost_marks()) == ({"old"}, ["libc"])

    apt.restore_marks()

    assert (module.automatic, apt.lost_marks()) == ({"libc", "old"}, [])


def test_the_next_installation_brings_them_back_too(tmp_path):
    module = Marked()
    module.automatic = {"old"}
    (tmp_path / _apt_host.MARKS).parent.mkdir(parents=True)
    (tmp_path / _apt_host.MARKS).write_text("libc\ngone\n")
    Apt(module, tmp_path).install(["install", "nginx=2"], limit=9)
    assert module.automatic == {"libc", "old"}


@pytest.fixture
def policy_file(tmp_path):
    """A file that tells packages what they may do, not there yet."""
    (tmp_path / "usr/sbin").mkdir(parents=True)
    return tmp_path / _apt_host.POLICY


@pytest.fixture
def other():
    """The number of a process that lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        pytest.param(policy(["a"], os.getpid(), "0"), False, id="another process has the number now"),
        pytest.param(policy(["a"], 1 << 30, "7"), False, id="its process has ended"),
        pytest.param("#!/bin/sh\nexit 101\n", True, id="somebody else's"),
        pytest.param(policy(["a"], os.getpid(), started(os.getpid())), True, id="its process lives"),
    ],
)
def test_only_a_policy_that_is_void_is_swept(tmp_path, policy_file, text, stays):
    policy_file.write_text(text)
    sweep(tmp_path)
    assert policy_file.exists() is stays


def test_a_policy_that_another_run_has_written_since_stays(tmp_path, policy_file, other):
    theirs = policy(["b"], other, started(other))
    with guarded(tmp_path, ["a"], os.getpid()):
        policy_file.write_text(theirs)
    assert policy_file.read_text() == theirs


def test_the_policy_of_a_run_that_lives_is_not_replaced(tmp_path, policy_file, other):
    theirs = policy(["b"], other, started(other))
    policy_file.write_text(theirs)
    with pytest.raises(AptError, match=f"process {other} installs packages"), guarded(tmp_path, ["a"], os.getpid()):
        pass
    with guarded(tmp_path, [], os.getpid()):
        pass
    assert policy_file.read_text() == theirs


def test_one_of_a_run_that_was_killed_is_replaced(tmp_path, policy_file):
    policy_file.write_text(policy(["b"], 1 << 30, "7"))
    with guarded(tmp_path, ["a"], os.getpid()):
        assert "a.service" in policy_file.read_text()
    assert not policy_file.exists()
