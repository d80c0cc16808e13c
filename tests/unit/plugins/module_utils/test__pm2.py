# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PM2 says is read as it is, and nothing secret is taken over."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import (
    App,
    Pm2Error,
    app_check,
    as_result,
    group,
    parse_jlist,
)

NOW = 1_795_248_600.0


def process(name="api", number=0, status="online", **env):
    """Return a process as PM2 7.0.4 gives it, cut to what is read and what must not be passed on."""
    return {
        "pid": 200 + number if status == "online" else 0,
        "name": name,
        "pm_id": number,
        "monit": {"memory": 50_000_000 if status == "online" else 0, "cpu": 1.5},
        "pm2_env": {
            "name": name,
            "status": status,
            "env": {"JWT_SECRET": "s3cr3t", "PORT": "3000"},
            "JWT_SECRET": "s3cr3t",
            "pm_uptime": 1_795_248_570_887,
            "restart_time": 2,
            "unstable_restarts": 0,
            "exec_mode": "fork_mode",
            "version": "1.4.2",
            "node_version": "18.20.4",
            "pm_cwd": "/srv/api",
            "pm_exec_path": "/srv/api/server.js",
            "pm_out_log_path": "/home/app/.pm2/logs/api-out.log",
            "pm_err_log_path": "/home/app/.pm2/logs/api-error.log",
            **env,
        },
    }


# What PM2 7.0.4 printed where no daemon ran: its picture, its advice, then the list.
BANNER = """
                        -------------

__/\\\\\\\\\\\\\\\\\\\\\\\\\\____/\\\\\\\\____________/\\\\\\\\____
 _\\/\\\\\\/////////\\\\\\_\\/\\\\\\\\\\\\________/\\\\\\\\\\\\__

                          Runtime Edition

                Load Balance 4 instances of api.js:
                $ pm2 start api.js -i 4

                        -------------

[PM2] Spawning PM2 daemon with pm2_home=/home/app/.pm2
[PM2] PM2 Successfully daemonized
"""


@pytest.mark.parametrize("banner", [pytest.param("", id="alone"), pytest.param(BANNER, id="after a banner")])
@pytest.mark.parametrize("list_", [[], [process()]], ids=["no application", "one application"])
def test_the_list_is_found_in_what_jlist_prints(banner, list_):
    assert parse_jlist(banner + json.dumps(list_) + "\n") == list_


@pytest.mark.parametrize("text", ["", BANNER, "[PM2] PM2 Successfully daemonized", '{"a": 1}'])
def test_output_without_a_list_is_an_error_that_says_what_to_do(text):
    with pytest.raises(Pm2Error, match="run it by hand"):
        parse_jlist(text)


def test_the_instances_of_an_application_are_taken_together():
    app = group([process(number=1, pm_uptime=1_795_248_590_000), process(number=0), process("web", 2)])["api"]
    assert app.instances == 2
    assert app.ids == (0, 1)
    assert app.pids == (200, 201)
    assert app.restarts == 4
    assert app.memory_bytes == 100_000_000
    assert app.cpu_percent == 3.0
    assert app.exec_mode == "fork"
    assert app.uptime_seconds(NOW) == 10.0


@pytest.mark.parametrize(
    ("statuses", "status", "down", "errored"),
    [
        (["online", "online"], "online", (), ()),
        (["online", "errored"], "mixed", (1,), (1,)),
        (["stopped", "stopped"], "stopped", (0, 1), ()),
        (["online", "launching"], "mixed", (), ()),
    ],
)
def test_one_status_stands_for_all_instances(statuses, status, down, errored):
    app = group([process(number=number, status=one) for number, one in enumerate(statuses)])["api"]
    assert (app.status, app.down_ids, app.errored_ids) == (status, down, errored)


def test_the_environment_is_never_passed_on():
    assert "s3cr3t" not in json.dumps(as_result(group([process()])["api"], NOW))


def test_a_result_says_since_when_it_runs():
    result = as_result(group([process()])["api"], NOW)
    assert result["started_at"] == "2026-11-21T08:09:30Z"
    assert result["uptime_seconds"] == 29.1
    assert result["ids"] == [0]


def test_what_does_not_run_has_no_uptime():
    result = as_result(group([process(status="stopped")])["api"], NOW)
    assert (result["started_at"], result["uptime_seconds"]) == (None, None)


def test_an_answer_with_nothing_but_a_name_is_read():
    assert group([{"name": "odd", "pm_id": 3}])["odd"].status == "None"


WELL = App("api", status="online", instances=1, ids=(0,), started_at_ms=970_900, error_log="/logs/api-error.log")


@pytest.mark.parametrize(
    ("app", "status", "words"),
    [
        pytest.param(WELL, "ok", "up 29s", id="online"),
        pytest.param(replace(WELL, status="errored"), "critical", "is errored", id="errored"),
        pytest.param(replace(WELL, status="stopped"), "critical", "is stopped", id="stopped by hand"),
        pytest.param(
            replace(WELL, status="stopped", restarts=9), "critical", "restarts 9", id="stopped between two crashes"
        ),
        pytest.param(replace(WELL, unstable_restarts=3), "critical", "crash loop", id="online between two crashes"),
        pytest.param(replace(WELL, unstable_restarts=3, started_at_ms=1), "ok", "up", id="recovered long ago"),
    ],
)
def test_online_is_not_enough_to_be_well(app, status, words):
    check = app_check(app, 1000.0)
    assert check["status"] == status
    assert words in check["detail"]
    assert (check["remedy"] is None) == (status == "ok")


def test_the_check_counts_the_instances_that_do_not_run():
    check = app_check(App("api", status="mixed", instances=3, down_ids=(1, 2)), 1000.0)
    assert check["detail"] == "2 of 3 instances do not run"
