# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs is compared with what is wanted and with what is saved; values of variables stay inside."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._pm2_definition import (
    as_definition,
    as_wish,
    differences,
    is_saved,
    saved_apps,
)

OPTIONS = dict.fromkeys(
    ["cwd", "args", "interpreter", "node_args", "exec_mode", "env", "max_memory_restart", "wait_ready"]
)
# As PM2 7.0.4 gives it, cut to what is compared.
RUNNING = {
    "name": "api",
    "pm_id": 0,
    "pm2_env": {
        "name": "api",
        "status": "online",
        "pm_exec_path": "/srv/api/server.js",
        "pm_cwd": "/srv/api",
        "args": ["--port", "3000"],
        "node_args": [],
        "exec_interpreter": "node",
        "exec_mode": "cluster_mode",
        "max_memory_restart": 500_000_000,
        "env": {"PORT": "3000", "JWT_SECRET": "s3cr3t", "unique_id": "c47d"},
        "restart_time": 4,
        "pm_uptime": 1,
    },
}


def running(**env):
    process = copy.deepcopy(RUNNING)
    process["pm2_env"].update(env)
    return process


def options(**given):
    return {**OPTIONS, "script": "server.js", **given}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(options(cwd="/srv/api"), {}, id="script in its directory"),
        pytest.param(options(script="/srv/api/./server.js"), {}, id="the directory is that of the script"),
        pytest.param(options(cwd="/srv/api/", env={"PORT": 3000}), {"env": {"PORT": "3000"}}, id="values are text"),
        pytest.param(options(cwd="/srv/api", args=[]), {"args": []}, id="no arguments is an argument"),
    ],
)
def test_the_options_are_put_in_pm2s_words(given, expected):
    assert as_definition(given) == {"script": "/srv/api/server.js", "cwd": "/srv/api", **expected}


def test_without_a_script_there_is_no_definition():
    assert as_definition({**OPTIONS, "script": None}) is None


def test_a_path_that_is_relative_to_nothing_is_refused():
    with pytest.raises(Pm2Error, match="set cwd"):
        as_definition(options())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({"exec_mode": "cluster", "args": ["--port", "3000"], "node_args": []}, (), id="the same"),
        pytest.param({"env": {"PORT": "3000"}}, (), id="other variables are left alone"),
        pytest.param({"env": {"PORT": "3001", "NEW": "1"}}, ("env.NEW", "env.PORT"), id="names of variables only"),
        pytest.param({"exec_mode": "fork", "max_memory_restart": 1}, ("exec_mode", "max_memory_restart"), id="two"),
        pytest.param({"cwd": "/srv/api-2"}, ("cwd",), id="another directory"),
        pytest.param({"wait_ready": True}, ("wait_ready",), id="what PM2 does not even mention"),
    ],
)
def test_differences_are_named_by_option(given, found):
    base = {"script": "/srv/api/server.js", "cwd": "/srv/api"}
    assert differences([running()], {**base, **given}) == found


def test_one_instance_that_differs_is_enough():
    assert differences([running(), running(pm_cwd="/old")], {"cwd": "/srv/api"}) == ("cwd",)


@pytest.mark.parametrize(
    ("processes", "dump", "same"),
    [
        pytest.param([running()], [running()["pm2_env"]], True, id="the same"),
        pytest.param([running()], [running(restart_time=9, pm_uptime=2)["pm2_env"]], True, id="other measurements"),
        pytest.param([running()], [running(env={"PORT": "1"})["pm2_env"]], False, id="other variables"),
        pytest.param([running()], [], False, id="nothing is saved"),
        pytest.param([running(), running()], [running()["pm2_env"]], False, id="an instance more"),
        pytest.param([], [running()["pm2_env"]], False, id="saved, but gone"),
        pytest.param([running(pmx_module=True)], [], True, id="extensions are not saved"),
        pytest.param([running(status="stopped")], [running()["pm2_env"]], False, id="stopped since"),
        pytest.param([running()], {"broken": True}, False, id="another file"),
    ],
)
def test_the_saved_list_is_compared_by_what_it_brings_back(processes, dump, same):
    assert is_saved(processes, dump) is same


def test_saved_applications_will_be_online():
    (app,) = saved_apps([running()["pm2_env"], running(status="errored")["pm2_env"]]).values()
    assert (app.name, app.status, app.instances, app.ids) == ("api", "online", 2, ())
    assert saved_apps({"not": "a list"}) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"instances": 0}, "at least 1"),
        ({"ecosystem": "eco.js"}, "absolute"),
        ({"max_memory_restart": "500M"}, "max_memory_restart: '500M' is not a size"),
        ({"name": "all"}, "cannot be the name"),
    ],
)
def test_an_option_that_cannot_be_is_refused(given, words):
    params = {**OPTIONS, **dict.fromkeys(["script", "instances", "ecosystem", "ecosystem_environment"])}
    with pytest.raises(Pm2Error, match=words):
        as_wish({**params, "name": "api", "state": "started", **given}, "app")
