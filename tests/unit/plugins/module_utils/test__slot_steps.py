# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What slots do on their host, with real processes and files."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _slot_steps
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError
from ansible_collections.runbook.ops.plugins.module_utils._slot_steps import (
    born,
    end_of,
    size_of,
    wait_for_end,
    wait_for_port,
)

DEAF = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
TIME = {"clock": time.monotonic, "sleep": time.sleep}


class Taken:
    """A slot whose port is somebody else's for a while."""

    name, port = "green", 3001

    def __init__(self, turns):
        self.turns = turns

    def strangers(self):
        self.turns -= 1
        return ["pid 9 (nginx)"] if self.turns >= 0 else []


def test_a_port_that_gets_free_is_waited_for():
    wait_for_port(Taken(2), **TIME)


def test_a_port_that_somebody_keeps_is_refused_by_name():
    now = iter(range(100))
    with pytest.raises(SlotError, match=r"port 3001 of slot green is taken by pid 9 \(nginx\)"):
        wait_for_port(Taken(1000), clock=lambda: next(now), sleep=lambda _seconds: None)


def test_a_process_that_does_not_end_is_killed():
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as deaf:
        deaf.stdout.readline()
        wait_for_end("shop", [deaf.pid], 0.1, **TIME)
        assert deaf.wait(timeout=30) == -9


def test_a_process_that_ended_and_its_number_taken_by_another_is_not_waited_for(monkeypatch):
    births = iter(["1", "2"])
    monkeypatch.setattr(_slot_steps, "born", lambda _pid: next(births))
    wait_for_end("shop", [os.getpid()], 600, **TIME)


def test_one_that_has_ended_was_never_born():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
        assert born(gone.pid) is None
    assert born(os.getpid()) is not None


def test_only_what_was_written_since_is_read(tmp_path):
    log = tmp_path / "log"
    log.write_text("old\n")
    offset = size_of(str(log))
    with log.open("a") as file:
        file.write("new\n")
    assert end_of(str(log), offset, uid=os.getuid()) == "new\n"
    log.write_text("n\n")
    assert end_of(str(log), offset, uid=os.getuid()) == "n\n", "it was rotated"


def test_a_log_that_leads_elsewhere_or_is_another_accounts_is_not_read(tmp_path):
    secret, link = tmp_path / "secret", tmp_path / "log"
    secret.write_text("s3cr3t")
    link.symlink_to(secret)
    assert end_of(str(link), 0, uid=os.getuid()) == ""
    assert end_of(str(secret), 0, uid=os.getuid() + 1) == ""
    assert end_of(str(tmp_path / "none"), 0, uid=os.getuid()) == ""
    os.mkfifo(tmp_path / "pipe")
    assert end_of(str(tmp_path / "pipe"), 0, uid=os.getuid()) == ""
