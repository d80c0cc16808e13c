# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Vercel's documented answers mean."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    Deployment,
    VercelError,
    check_api,
    explain,
    is_live,
    live_of,
    parse_deployment,
    refuse_redeploy,
    state_of,
)

# As the documentation shows them, cut to what could matter.
LISTED = {
    "uid": "dpl_1",
    "url": "shop-1.vercel.app",
    "state": "READY",
    "created": 1000,
    "ready": 61000,
    "aliasAssigned": 62000,
    "meta": {"githubCommitSha": "0123456789abcdef", "githubCommitRef": "main"},
}
SHOWN = {
    "id": "dpl_2",
    "url": "shop-2.vercel.app",
    "readyState": "ERROR",
    "createdAt": 1000,
    "aliasAssigned": False,
    "errorMessage": "Command npm run build exited with 1",
}
LIVE = Deployment("dpl_1", "shop-1.vercel.app", "READY", commit="0123456789abcdef", branch="main", assigned=True)


def made(state, identity="dpl_2", **other):
    return Deployment(identity, "shop-2.vercel.app", state, **other)


def test_a_deployment_is_read_from_a_list_and_by_itself():
    listed = parse_deployment(LISTED)
    assert (listed.id, listed.state, listed.commit, listed.branch) == ("dpl_1", "READY", "0123456789abcdef", "main")
    assert (listed.created_at, listed.ready_at, listed.assigned) == (
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:01:01Z",
        True,
    )
    shown = parse_deployment(SHOWN)
    assert (shown.id, shown.state, shown.assigned) == ("dpl_2", "ERROR", False)
    assert shown.error == "Command npm run build exited with 1"


@pytest.mark.parametrize(
    "project",
    [{}, {"targets": None}, {"targets": {}}, {"targets": {"production": None}}],
    ids=["says nothing", "none", "empty", "no production"],
)
def test_a_project_that_was_never_deployed_has_nothing_live(project):
    assert live_of(project) is None


@pytest.mark.parametrize("state", ["QUEUED", "INITIALIZING", "BUILDING"])
def test_while_one_is_on_its_way_a_second_is_refused(state):
    with pytest.raises(VercelError, match=f"a production deployment of shop is {state} since .*: wait"):
        refuse_redeploy(LIVE, [made(state, created_at="2099"), LIVE], project="shop")


def test_what_was_never_deployed_cannot_be_redeployed():
    with pytest.raises(VercelError, match="no production deployment that could be redeployed"):
        refuse_redeploy(None, [], project="shop")


def test_what_is_in_production_is_redeployed_whatever_is_newer():
    assert refuse_redeploy(LIVE, [made("ERROR"), made("READY"), LIVE], project="shop") is LIVE


@pytest.mark.parametrize(
    ("new", "live"),
    [
        pytest.param(made("BUILDING"), False, id="it is built"),
        pytest.param(made("READY"), False, id="the domains do not lead to it yet"),
        pytest.param(made("READY", assigned=True), True, id="it serves"),
    ],
)
def test_a_deployment_serves_when_it_is_ready_and_the_domains_lead_to_it(new, live):
    assert is_live(new, old=LIVE) is live


@pytest.mark.parametrize("state", ["ERROR", "CANCELED"])
def test_a_deployment_that_failed_leaves_the_old_one_and_says_so(state):
    with pytest.raises(VercelError, match=f"ended as {state} .why.; production is still shop-1.vercel.app"):
        is_live(made(state, error="why"), old=LIVE)


@pytest.mark.parametrize(
    ("live", "latest", "expected"),
    [
        pytest.param(LIVE, [LIVE], ("running", None), id="it serves"),
        pytest.param(LIVE, [made("READY"), LIVE], ("running", None), id="rolled back to an older one"),
        pytest.param(LIVE, [made("BUILDING"), LIVE], ("running", None), id="a new one is built"),
        pytest.param(
            LIVE,
            [made("ERROR"), LIVE],
            ("impaired", "the newest deployment ended as ERROR (shop-2.vercel.app)"),
            id="the newest one failed",
        ),
        pytest.param(made("ERROR"), [], ("stopped", "production is ERROR"), id="production itself failed"),
        pytest.param(None, [], ("absent", None), id="never deployed"),
    ],
)
def test_the_state_has_the_shape_that_all_managers_have(live, latest, expected):
    state = state_of("site", live, latest)
    assert (state["state"], state["trouble"]) == expected
    assert state["manager"] == "vercel"


def test_a_state_names_the_commit():
    assert state_of("site", LIVE, [])["version"] == "main 0123456"


@pytest.mark.parametrize("api", ["https://api.vercel.com", "https://proxy/vercel/", "http://127.0.0.1:9443"])
def test_the_token_goes_over_tls_or_stays_on_the_machine(api):
    assert check_api(api) == api.rstrip("/")


@pytest.mark.parametrize("api", ["http://api.vercel.com", "api.vercel.com", "ftp://api.vercel.com", ""])
def test_the_token_never_goes_in_clear_text(api):
    with pytest.raises(VercelError, match="https://"):
        check_api(api)


def answer(code, message="m", **other):
    return json.dumps({"error": {"code": code, "message": message, **other}})


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        pytest.param(403, answer("forbidden"), "refused the token .403 forbidden m.: make a new one", id="token"),
        pytest.param(404, answer("not_found"), "does not know 'shop' .*correct project or team", id="project"),
        pytest.param(
            429,
            answer("rate_limited", limit={"reset": 60}),
            "no more requests .*, again at 1970-01-01T00:01:00Z",
            id="too many",
        ),
        pytest.param(503, "<html>", "did not answer list .503 no route.: see https://www.vercel-status.com", id="ill"),
        pytest.param(-1, "", "did not answer list .no route.: see", id="not reached"),
        pytest.param(400, answer("bad_request"), "refused to list .400 bad_request m.", id="anything else"),
        pytest.param(418, "[]", "refused to list .418 no route.", id="not even an error"),
    ],
)
def test_an_error_says_what_to_do(status, body, meant):
    error = explain(status, body, what="list", project="shop", said="no route")
    with pytest.raises(VercelError, match=meant):
        raise error
