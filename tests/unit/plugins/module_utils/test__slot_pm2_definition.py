# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release is run by PM2."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._slot import RELEASE_VARIABLE, SlotError
from ansible_collections.runbook.ops.plugins.module_utils._slot_pm2_definition import (
    digest,
    document,
    of_description,
    of_ecosystem,
    of_processes,
    seen,
)

RELEASE = "/srv/shop.releases/20260101T000000Z-0123456789ab"
SERVICE = {
    "name": "shop",
    "path": "/srv/shop",
    "port": 3000,
    "entry_point": None,
    "replicas": None,
    "deploy": {"mode": "fork"},
}


def service(**more):
    return {**SERVICE, **more}


def ecosystem(**app):
    return {"apps": [{"name": "other", "script": "other.js"}, {"name": "shop", "script": "server.js", **app}]}


def process(pid=10, status="online", restarts=0, **env):
    content = {
        "name": "shop",
        "pm_exec_path": "/srv/shop/server.js",
        "pm_cwd": "/srv/shop",
        "exec_mode": "fork_mode",
        "status": status,
        "restart_time": restarts,
        "pm_uptime": 1000_000,
        "env": {},
        **env,
    }
    return {"name": "shop", "pid": pid, "pm_id": pid, "pm2_env": content, "monit": {"memory": 50}}


@pytest.mark.parametrize(
    ("app", "script", "cwd"),
    [
        pytest.param({}, "server.js", ".", id="beside the ecosystem file"),
        pytest.param({"cwd": RELEASE}, "server.js", ".", id="in the directory of the file"),
        pytest.param({"cwd": "./api"}, "api/server.js", "api", id="in a directory of the release"),
        pytest.param({"cwd": "/srv/shop/api"}, "api/server.js", "api", id="in the live directory, written out"),
        pytest.param({"script": "/srv/shop/server.js"}, "server.js", ".", id="a script of the live directory"),
    ],
)
def test_what_an_ecosystem_file_runs_is_run_from_the_release(app, script, cwd):
    found = of_ecosystem(ecosystem(**app), SERVICE, RELEASE)
    assert (found.process["script"], found.process["cwd"]) == (script, cwd)


def test_a_release_keeps_what_its_ecosystem_file_says_but_not_the_environment():
    app = {
        "kill_timeout": 4000,
        "wait_ready": True,
        "env": {"PORT": 3000, "FLAGS": {"a": 1}, "KEY": "s3cr3t"},
        "watch": True,
    }
    found = of_ecosystem(ecosystem(**app), SERVICE, RELEASE)
    assert found.process == {
        "kill_timeout": 4000,
        "wait_ready": True,
        "exec_mode": "fork",
        "instances": 1,
        "script": "server.js",
        "cwd": ".",
    }
    assert found.environment == {"FLAGS": '{"a": 1}', "KEY": "s3cr3t"}


def test_an_ecosystem_file_that_does_not_speak_of_the_service_says_nothing():
    assert of_ecosystem({"apps": [{"name": "other", "script": "x.js"}]}, SERVICE, RELEASE) is None


@pytest.mark.parametrize(
    ("app", "said"),
    [
        pytest.param({"cwd": "/srv/elsewhere"}, "leads out of the release", id="another directory"),
        pytest.param({"script": "../../bin/x.js"}, "leads out of the release", id="a way up"),
        pytest.param({"exec_mode": "cluster"}, "in the mode cluster, its deploy.mode is fork", id="another mode"),
        pytest.param(
            {"instances": 2}, "in the mode cluster, its deploy.mode is fork", id="a number makes it a cluster"
        ),
        pytest.param({"instances": 2, "exec_mode": "fork"}, "cannot have 2 instances", id="two on one port"),
        pytest.param({"script": None}, "names no script", id="no script"),
    ],
)
def test_what_an_ecosystem_file_says_wrongly_is_refused(app, said):
    with pytest.raises(SlotError, match=said):
        of_ecosystem(ecosystem(**app), SERVICE, RELEASE)


def test_the_description_alone_is_enough():
    described = service(entry_point="dist/main.js", replicas=3, deploy={"mode": "cluster"})
    assert of_description(described, RELEASE).process == {
        "script": "dist/main.js",
        "cwd": ".",
        "exec_mode": "cluster",
        "instances": 3,
    }
    assert of_description(SERVICE, RELEASE) is None


def test_what_a_person_has_started_can_be_started_again():
    env = {
        "env": {"KEY": "s3cr3t", "PORT": 3000, "PATH": "/bin", "PM2_HOME": "/x", "shop": "{}"},
        "kill_timeout": 9000,
        "pm_out_log_path": "/logs/shop-out-10.log",
    }
    found = of_processes([process(**env)])
    assert found.path == "/srv/shop"
    assert found.environment == {"KEY": "s3cr3t"}
    assert found.process == {
        "script": "server.js",
        "cwd": ".",
        "exec_mode": "fork",
        "instances": 1,
        "kill_timeout": 9000,
        "out_file": "/logs/shop-out.log",
    }
    assert of_processes([]) is None


def test_a_slot_runs_from_its_release_and_nowhere_else():
    found = document(
        {"script": "api/x.js", "cwd": "api"}, path=RELEASE, label="shop-green", environment={"PORT": "3001"}
    )
    [app] = found["apps"]
    assert app["script"] == f"{RELEASE}/api/x.js"
    assert app["cwd"] == f"{RELEASE}/api"
    assert (app["name"], app["env"], app["watch"]) == ("shop-green", {"PORT": "3001"}, False)
    with pytest.raises(SlotError, match="nothing says how shop is run"):
        document({}, path=RELEASE, label="shop", environment={})


def test_another_environment_is_another_definition():
    def one(value):
        return digest(document({"script": "x.js"}, path=RELEASE, label="shop", environment={"KEY": value}))

    assert one("a") == one("a") != one("b")
    assert "a" * 20 not in one("a" * 20)


@pytest.mark.parametrize(
    ("processes", "status", "restarts"),
    [
        pytest.param([], "absent", 0, id="not known"),
        pytest.param([process()], "running", 0, id="online"),
        pytest.param([process(status="launching")], "starting", 0, id="waits until it is ready"),
        pytest.param([process(), process(11, "launching")], "starting", 0, id="one of two is ready"),
        pytest.param([process(status="stopped")], "stopped", 0, id="stopped"),
        pytest.param([process(status="errored", restarts=16)], "broken", 16, id="given up"),
        pytest.param([process(), process(11, "errored", 16)], "broken", 16, id="one of two given up"),
        pytest.param([process(restarts=2, unstable_restarts=2)], "broken", 2, id="in the middle of a crash loop"),
        pytest.param([process(status="waiting restart", restarts=1)], "broken", 1, id="about to be restarted"),
    ],
)
def test_what_pm2_says_is_put_into_one_word(processes, status, restarts):
    found = seen(processes, listening=[10], now=1010.0)
    assert (found.status, found.restarts) == (status, restarts)


@pytest.mark.parametrize(
    ("processes", "release"),
    [
        pytest.param(
            [process(env={RELEASE_VARIABLE: "a"}), process(11, env={RELEASE_VARIABLE: "a"})], "a", id="one release"
        ),
        pytest.param(
            [process(env={RELEASE_VARIABLE: "a"}), process(11, env={RELEASE_VARIABLE: "b"})], None, id="two of them"
        ),
        pytest.param([process()], "adopted", id="started by a person"),
    ],
)
def test_a_slot_tells_which_release_it_runs(processes, release):
    assert seen(processes, listening=[], now=1010.0).release == release
