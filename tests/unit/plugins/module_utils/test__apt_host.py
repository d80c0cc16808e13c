# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg has left half-done is told from what is wrong for good, and another program's lock is waited for."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _apt_host
from ansible_collections.runbook.ops.plugins.module_utils._apt_host import Apt
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
