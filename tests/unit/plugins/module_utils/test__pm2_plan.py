# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each state is reached by the fewest calls of PM2, and a second run has nothing to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import (
    Seen,
    Wish,
    gave_up,
    is_stable,
    plan,
    predict,
    refuse,
)

ONLINE = App("api", status="online", instances=2, ids=(0, 1), started_at_ms=100_000, error_log="/logs/api-error.log")
STOPPED = App("api", status="stopped", instances=2, ids=(0, 1), down_ids=(0, 1))
ERRORED = replace(STOPPED, status="errored", errored_ids=(0, 1))
HALF = App("api", status="mixed", instances=2, ids=(0, 1), down_ids=(1,))
ABSENT = App("api")
DEFINITION = {"script": "/srv/api/server.js", "cwd": "/srv/api", "env": {"JWT_SECRET": "s3cr3t"}}


def seen(app, **others):
    return Seen(running=True, apps={} if app.status == "absent" else {"api": app}, **others)


def wish(state="started", **others):
    return Wish("api", state, "app", **others)


def calls(found, wanted):
    return [" ".join(step.arguments) for step in plan(found, wanted)]


@pytest.mark.parametrize("app", [ABSENT, ONLINE, STOPPED, ERRORED, HALF], ids=lambda app: app.status)
@pytest.mark.parametrize("state", ["started", "stopped", "absent"])
@pytest.mark.parametrize("instances", [None, 3])
def test_a_second_run_has_nothing_to_do(app, state, instances):
    wanted = wish(state, ecosystem="/srv/eco.js", instances=instances)
    done = predict(seen(app), plan(seen(app), wanted), wanted)
    assert plan(seen(done), wanted) == []


@pytest.mark.parametrize(
    ("app", "wanted", "expected"),
    [
        pytest.param(ONLINE, wish(), [], id="started: what runs is left alone"),
        pytest.param(STOPPED, wish(), ["start api"], id="started: what is stopped is started"),
        pytest.param(ERRORED, wish(), ["start api"], id="started: what was given up is started"),
        pytest.param(HALF, wish(), ["start 1"], id="started: instances that run are left alone"),
        pytest.param(ONLINE, wish(instances=4), ["scale api 4"], id="started: scaled up"),
        pytest.param(ONLINE, wish("restarted"), ["restart api"], id="restarted"),
        pytest.param(STOPPED, wish("restarted"), ["restart api"], id="restarted: what is stopped starts"),
        pytest.param(ONLINE, wish("reloaded", instances=1), ["reload api", "scale api 1"], id="reloaded and scaled"),
        pytest.param(STOPPED, wish("reloaded"), ["restart api"], id="reloaded: a reload starts nothing"),
        pytest.param(HALF, wish("reloaded"), ["restart api"], id="reloaded: nor half of it"),
        pytest.param(ONLINE, wish("stopped"), ["stop api"], id="stopped"),
        pytest.param(HALF, wish("stopped"), ["stop api"], id="stopped: the half that runs"),
        pytest.param(ERRORED, wish("stopped"), ["stop api"], id="stopped: what was given up"),
        pytest.param(ERRORED, wish("absent"), ["delete api"], id="absent"),
        pytest.param(
            ABSENT,
            wish(ecosystem="/srv/eco.js", ecosystem_environment="production", instances=2),
            ["start /srv/eco.js --only api --env production --instances 2"],
            id="started: from a file",
        ),
        pytest.param(ABSENT, wish("restarted", definition=DEFINITION), ["start -"], id="restarted: what is not there"),
    ],
)
def test_the_fewest_calls_reach_the_state(app, wanted, expected):
    assert calls(seen(app), wanted) == expected


def test_an_ecosystem_file_is_read_in_its_own_directory():
    assert plan(seen(ABSENT), wish(ecosystem="/srv/api/eco.js"))[0].directory == "/srv/api"


def test_a_definition_goes_in_over_stdin_and_is_not_shown():
    (step,) = plan(seen(ABSENT), wish(definition=DEFINITION))
    assert '"JWT_SECRET": "s3cr3t"' in (step.stdin or "")
    assert "s3cr3t" not in repr(step) + repr(wish(definition=DEFINITION)) + " ".join(step.arguments)


def test_what_runs_otherwise_than_defined_is_started_anew():
    found = seen(ONLINE, differs=("cwd", "env.PORT"))
    steps = plan(found, wish(definition=DEFINITION))
    assert [step.verb for step in steps] == ["delete", "start"]
    assert steps[0].because == "other cwd, env.PORT"
    assert predict(found, steps, wish(definition=DEFINITION)).status == "online"


def test_saved_applications_come_back_before_one_of_them_is_started():
    dead = Seen(running=False, apps={}, saved={"api": replace(ONLINE, ids=()), "web": App("web")})
    assert calls(dead, wish("restarted")) == ["resurrect"]
    assert calls(dead, wish(instances=3)) == ["resurrect", "scale api 3"]
    assert predict(dead, plan(dead, wish()), wish()).status == "online"
    assert plan(dead, wish("stopped")) == []


def test_an_application_that_is_not_saved_is_started_beside_those_that_are():
    dead = Seen(running=False, apps={}, saved={"web": App("web")})
    assert calls(dead, wish(ecosystem="/e.js")) == ["resurrect", "start /e.js --only api"]


def test_an_unknown_application_names_those_that_are_known_and_other_daemons():
    found = Seen(running=True, apps={"web": App("web")}, other_daemons=("/root/.pm2",))
    with pytest.raises(Pm2Error, match=r"'api' \(known: web\); other daemons run in /root/.pm2; correct name or user"):
        plan(found, wish("restarted"))


def test_no_daemon_is_said():
    with pytest.raises(Pm2Error, match="none, and no daemon runs"):
        plan(Seen(running=False, apps={}), wish())


@pytest.mark.parametrize("name", ["all", "", "-x", "/api.*/", "--only"])
def test_a_name_that_pm2_takes_for_a_selection_is_refused(name):
    with pytest.raises(Pm2Error, match="cannot be the name"):
        refuse(name)


@pytest.mark.parametrize(
    ("app", "stable"),
    [
        pytest.param(ONLINE, True, id="online for long enough"),
        pytest.param(replace(ONLINE, started_at_ms=102_000), False, id="started just now"),
        pytest.param(STOPPED, False, id="not started yet"),
        pytest.param(HALF, False, id="half of it"),
    ],
)
def test_online_counts_after_a_while(app, stable):
    assert is_stable(app, now=104.0, stable_seconds=3) is stable


@pytest.mark.parametrize("app", [ERRORED, ABSENT, replace(HALF, errored_ids=(1,))], ids=["errored", "gone", "half"])
def test_what_pm2_gave_up_is_not_waited_for(app):
    with pytest.raises(Pm2Error, match="read the end of"):
        is_stable(app, now=104.0, stable_seconds=3)


def test_a_crash_loop_is_called_one_and_names_the_log():
    error = gave_up(replace(ONLINE, restarts=9), restarts_before=2, waited_seconds=60)
    assert str(error) == "api is in a crash loop: restarted 7 times in 60 s; read the end of /logs/api-error.log"
    assert "is stopped after 60 s" in str(gave_up(STOPPED, restarts_before=0, waited_seconds=60))
