# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module calls PM2 exactly as planned, waits until it is stable, and touches nothing in check mode."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Wish
from ansible_collections.runbook.ops.plugins.modules import pm2


class FakeHost:
    """Stands for PM2 and the clock: what it says at each look, and what it was told."""

    def __init__(self, *looks, dump=(), is_open=False):
        self.looks, self.saved, self.is_open = list(looks), list(dump), is_open
        self.calls, self.now, self.told = [], 1000.0, None

    def processes(self):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def dump(self):
        return self.saved

    def dump_is_open(self):
        return self.is_open

    def save(self):
        self.calls.append(("save", "--force"))
        self.is_open = False

    def other_daemons(self):
        return []

    def command(self, _directory="/"):
        def call(*arguments, stdin=None):
            self.calls.append(arguments)
            self.told = stdin

        return call

    def sleep(self, seconds):
        self.now += seconds

    def clock(self):
        return self.now


def process(status="online", *, started_at=900.0, restarts=0):
    return {
        "name": "api",
        "pm_id": 0,
        "pid": 7,
        "pm2_env": {
            "name": "api",
            "status": status,
            "pm_uptime": started_at * 1000,
            "restart_time": restarts,
            "pm_err_log_path": "/logs/api-error.log",
            "env": {"JWT_SECRET": "s3cr3t"},
        },
    }


def run(host, state="restarted", *, check_mode=False, saved=False, reason=None, **wish):
    return pm2.run(
        host,
        Wish("api", state, "app", **wish),
        saved=saved,
        reason=reason,
        check_mode=check_mode,
        clock=host.clock,
        sleep=host.sleep,
        wait_timeout_seconds=20,
        stable_seconds=3,
    )


def test_a_restart_is_waited_for_until_nothing_crashed_for_a_while():
    host = FakeHost([process()], [process("launching", started_at=1000.0)], [process(started_at=1000.5, restarts=1)])
    result = run(host, reason="maps a replaced library")
    assert host.calls == [("restart", "api")]
    assert result["changed"] and result["app"]["status"] == "online"
    assert result["app"]["uptime_seconds"] >= 3
    (change,) = result["changes"]
    assert (change["action"], change["before"], change["after"]) == ("restarted", "online", "online")
    assert change["reason"] == "maps a replaced library"


def test_check_mode_looks_but_does_not_touch():
    host = FakeHost([process("stopped")])
    result = run(host, "started", check_mode=True, saved=True)
    assert host.calls == []
    assert result["changed"] and result["app"]["status"] == "online"
    assert result["actions"] == ["pm2 start api", "pm2 save --force"]


def test_check_mode_predicts_what_is_then_done():
    predicted = run(FakeHost([process("stopped")]), "started", check_mode=True)
    done = run(FakeHost([process("stopped")], [process()]), "started")
    assert (predicted["actions"], predicted["diff"]) == (done["actions"], done["diff"])


def test_what_runs_well_is_left_alone_and_not_waited_for():
    host = FakeHost([process()])
    assert not run(host, "started")["changed"]
    assert (host.calls, host.now) == ([], 1000.0)


def test_what_is_online_between_two_crashes_is_not_started():
    crashes = [[process(started_at=1000.0 + number, restarts=number)] for number in range(60)]
    with pytest.raises(Pm2Error, match=r"crash loop: restarted \d+ times in 20 s; read the end of /logs/api-error.log"):
        run(FakeHost(*crashes), "started")


def test_a_restart_that_fails_is_a_change_all_the_same():
    with pytest.raises(Pm2Error, match="is errored") as failed:
        run(FakeHost([process()], [process("errored", restarts=16)]))
    assert failed.value.details["changed"] is True
    assert [change["action"] for change in failed.value.details["changes"]] == ["restarted"]


def test_what_failed_is_not_saved():
    host = FakeHost([process("stopped")], [process("errored")])
    with pytest.raises(Pm2Error):
        run(host, "started", saved=True)
    assert ("save", "--force") not in host.calls


@pytest.mark.parametrize(
    ("dump", "is_open", "saves"),
    [
        pytest.param([process()["pm2_env"]], False, False, id="saved already"),
        pytest.param([], False, True, id="not saved"),
        pytest.param([process()["pm2_env"]], True, True, id="others can read it"),
    ],
)
def test_the_list_is_saved_only_where_it_differs(dump, is_open, saves):
    host = FakeHost([process()], dump=dump, is_open=is_open)
    result = run(host, "started", saved=True)
    assert result["changed"] is saves
    assert host.calls == ([("save", "--force")] if saves else [])
    assert not host.is_open


def test_no_result_holds_the_environment():
    host = FakeHost([process()])
    assert "s3cr3t" not in str(run(host)) + str(run(host, "started", definition={"script": "/x", "cwd": "/"}))
