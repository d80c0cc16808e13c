# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both modules of Vercel, over HTTP, against a stub of the documented API."""

from __future__ import annotations

import importlib.util
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import Vercel
from ansible_collections.runbook.ops.plugins.module_utils._vercel_change import Wish, run
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import Waiting
from ansible_collections.runbook.ops.plugins.modules import vercel_deployment, vercel_deployment_info

STUB = Path(__file__).parents[3] / "stubs" / "vercel" / "vercel.py"
specification = importlib.util.spec_from_file_location("vercel_stub", STUB)
stub = importlib.util.module_from_spec(specification)
specification.loader.exec_module(stub)


@pytest.fixture
def project():
    found = stub.Project("shop", "t0ken")
    found.deploy("0123456789abcdef", ready=True)
    server = stub.serve(found)
    found.api = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


def fetch(method, url, headers, body):
    request = urllib.request.Request(url, data=body.encode() if body else None, headers=headers, method=method)  # noqa: S310  # the stub
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return response.status, response.read().decode(), ""
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode(), exc.reason


def door(stubbed, /, **other):
    return Vercel(fetch, **{"project": "shop", "team": None, "token": "t0ken", "api": stubbed.api, **other})


def change(
    stubbed, state, deployment="", /, *, check_mode=False, wait_timeout_seconds=600, ref="", staged=False, **other
):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    wish = Wish(state, deployment, ref, staged, "a variable was changed", wait_timeout_seconds)
    return run(door(stubbed, **other), wish, Waiting(lambda: now[0], sleep), check_mode=check_mode)


def redeploy(stubbed, /, **other):
    return change(stubbed, "redeployed", **other)


def test_what_is_in_production_is_built_once_more_from_the_same_commit(project):
    result = redeploy(project)
    assert project.live == result["live"]["id"] == "dpl_2"
    assert result["live"]["commit"] == "0123456789abcdef"
    assert result["changes"][0]["before"] == "shop-1.vercel.app"
    assert result["changes"][0]["after"] == "shop-2.vercel.app"
    assert result["changes"][0]["seconds"] > 0


def test_check_mode_looks_but_does_not_touch(project):
    predicted = redeploy(project, check_mode=True)
    assert len(project.deployments) == 1
    done = redeploy(project)
    assert predicted["actions"] == done["actions"] == ["redeploy shop-1.vercel.app"]
    assert predicted["diff"] == done["diff"]


def test_a_build_that_fails_leaves_production_as_it_was(project):
    project.outcome = "ERROR"
    with pytest.raises(VercelError, match=r"ended as ERROR .*npm run build.*production is still shop-1") as caught:
        redeploy(project)
    assert project.live == "dpl_1"
    assert caught.value.details["changes"][0]["after"] == "shop-2.vercel.app"


def test_what_was_done_before_a_build_that_failed_is_told():
    told = vercel_deployment.failure(VercelError("it ended as ERROR"), "the migrations of this release")
    assert told == "it ended as ERROR. Done before, and not taken back: the migrations of this release"
    assert vercel_deployment.failure(VercelError("it ended as ERROR"), "") == "it ended as ERROR"


def test_a_build_that_does_not_end_is_not_waited_for_for_ever(project):
    with pytest.raises(VercelError, match=r"is BUILDING after 2 s.*; production is still shop-1"):
        redeploy(project, wait_timeout_seconds=2)


def test_after_a_run_that_was_killed_the_next_does_not_start_a_second_build(project):
    project.deploy("0123456789abcdef")
    with pytest.raises(VercelError, match="is QUEUED since"):
        redeploy(project)
    assert len(project.deployments) == 2


def test_vercel_may_be_silent_for_a_while_during_a_build(project):
    vercel = door(project)
    looks = []
    ask = vercel.deployment

    def deployment(identity):
        looks.append(identity)
        project.down = len(looks) == 1
        return ask(identity)

    vercel.deployment = deployment
    wish = Wish("redeployed", "", "", staged=False, reason="r", wait_timeout_seconds=60)
    result = run(vercel, wish, Waiting(lambda: 0.0, lambda _seconds: None), check_mode=False)
    assert result["live"]["id"] == "dpl_2"
    assert len(looks) > 2


@pytest.mark.parametrize(
    ("other", "why"),
    [
        pytest.param({"token": "old"}, "refused the token", id="a token that is not valid"),
        pytest.param({"project": "other"}, "does not know 'other'", id="a project that is not there"),
    ],
)
def test_who_may_not_ask_is_told_so(project, other, why):
    with pytest.raises(VercelError, match=why) as caught:
        redeploy(project, **other)
    assert "t0ken" not in str(caught.value) and "old" not in str(caught.value)


def test_something_else_than_vercel_is_recognised(project):
    vercel = Vercel(lambda *_: (200, "<html>", ""), project="shop", team=None, token="t", api=project.api)
    with pytest.raises(VercelError, match="is not Vercel's API"):
        vercel.look()


@pytest.mark.parametrize(("team", "parameter"), [("team_1", "teamId=team_1"), ("acme", "slug=acme")])
def test_the_team_is_named_in_each_request(team, parameter):
    urls = []

    def note(_method, url, _headers, _body):
        urls.append(url)
        return 200, json.dumps({"id": "prj_1"}), ""

    Vercel(note, project="shop", team=team, token="t", api="https://a").look()
    assert len(urls) == 2 and all(parameter in url for url in urls)


def test_the_token_is_in_a_header_only():
    def note(_method, url, headers, body):
        assert "t0ken" not in url and "t0ken" not in str(body)
        assert headers["Authorization"] == "Bearer t0ken"
        return 200, json.dumps({"id": "prj_1"}), ""

    Vercel(note, project="shop", team=None, token="t0ken", api="https://a").look()


def test_what_is_in_production_is_told(project):
    found = vercel_deployment_info.run(door(project), "site", now=0)
    assert not found["changed"]
    assert found["live"]["url"] == "shop-1.vercel.app"
    assert found["services"][0]["state"] == "running"
    assert found["checks"][0]["id"] == "service:site" and found["checks"][0]["status"] == "ok"


def test_a_newer_deployment_that_failed_is_warned_of(project):
    one = project.deploy("fedcba9876543210")
    project.finish(one, "ERROR")
    found = vercel_deployment_info.run(door(project), None, now=0)
    assert found["checks"][0]["status"] == "warning"
    assert found["live"]["url"] == "shop-1.vercel.app"


NEW = "f" * 40


def test_a_commit_is_built_and_served_once(project):
    predicted = change(project, "deployed", NEW, check_mode=True)
    assert (predicted["actions"], len(project.deployments)) == ([f"build {NEW}"], 1)
    done = change(project, "deployed", NEW)
    assert (done["live"]["commit"], done["built"]["id"], project.live) == (NEW, "dpl_2", "dpl_2")
    again = change(project, "deployed", NEW)
    assert (again["changed"], again["changes"], len(project.deployments)) == (False, [], 2)


def test_a_staged_one_is_served_by_its_promotion_and_not_built_again(project):
    staged = change(project, "deployed", NEW, staged=True)
    assert (project.live, staged["built"]["id"], staged["live"]["id"]) == ("dpl_1", "dpl_2", "dpl_1")
    assert not change(project, "deployed", NEW, staged=True)["changed"]
    promoted = change(project, "promoted")
    assert (project.live, promoted["live"]["commit"]) == ("dpl_2", NEW)
    assert not change(project, "promoted")["changed"]


def test_what_is_built_and_not_served_is_promoted_by_a_deploy(project):
    change(project, "deployed", NEW, staged=True)
    assert change(project, "deployed", NEW)["actions"] == ["promote shop-2.vercel.app"]
    assert len(project.deployments) == 2


def test_a_rollback_goes_to_what_was_in_production_before_and_says_what_it_switches_off(project):
    change(project, "deployed", NEW)
    broken = project.deploy("e" * 40)
    project.finish(broken, "ERROR")
    predicted = change(project, "rolled_back", check_mode=True)
    assert (predicted["checks"][0]["status"], project.live) == ("warning", "dpl_2")
    done = change(project, "rolled_back")
    assert (project.live, done["live"]["id"]) == ("dpl_1", "dpl_1")
    assert done["checks"][0]["detail"] == "what is pushed is built, and not served, since a rollback"
    assert not change(project, "rolled_back", "shop-1.vercel.app")["changed"]
    healed = change(project, "promoted", NEW)
    assert (project.live, healed["checks"][0]["status"]) == ("dpl_2", "ok")


def test_to_promote_what_is_live_switches_following_on_again(project):
    change(project, "deployed", NEW)
    change(project, "rolled_back")
    assert change(project, "promoted", "dpl_1")["checks"][0]["status"] == "ok"
    assert (project.live, project.follows) == ("dpl_1", True)


@pytest.mark.parametrize(
    ("state", "wanted", "why"),
    [
        pytest.param("rolled_back", "", "nothing before shop-1.vercel.app was in production", id="nothing before it"),
        pytest.param(
            "rolled_back", "dpl_9", "there is no production deployment 'dpl_9'", id="an unknown one to go back to"
        ),
        pytest.param("promoted", "dpl_9", "there is no production deployment 'dpl_9'", id="an unknown one to promote"),
        pytest.param("deployed", "f00", "give the commit in full", id="a short commit"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(project, state, wanted, why):
    with pytest.raises(VercelError, match=why):
        change(project, state, wanted)
    assert project.live == "dpl_1"
    assert len(project.deployments) == 1


def test_one_that_was_never_in_production_is_not_gone_back_to(project):
    change(project, "deployed", NEW, staged=True)
    with pytest.raises(VercelError, match="never was in production"):
        change(project, "rolled_back", "dpl_2")


def test_an_order_that_is_not_carried_out_is_not_waited_for_for_ever(project):
    change(project, "deployed", NEW)
    project.stuck = True
    with pytest.raises(
        VercelError, match=r"the way of the domains to shop-1.* is in-progress after 10 s; production is still shop-2"
    ):
        change(project, "rolled_back", wait_timeout_seconds=10)
