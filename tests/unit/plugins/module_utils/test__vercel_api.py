# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vercel's API: what is asked again, and what is read to its end."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._vercel import BusyError, VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import BUSY_SECONDS, Vercel

TOKEN = "not-to-be-seen"


class Api:
    """Answers in turn, and a clock that only sleeping moves."""

    def __init__(self, *answers):
        self.answers, self.asked, self.now = list(answers), [], 1000.0

    def __call__(self, method, url, _headers, _body):
        self.asked.append(f"{method} {url.partition('.test')[2]}")
        status, document = self.answers.pop(0)
        return status, json.dumps(document), ""

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def vercel(self, team=None):
        place = {"project": "shop", "team": team, "token": TOKEN, "api": "https://api.test"}
        return Vercel(self, **place, clock=self.clock, sleep=self.sleep)


def busy(reset):
    return 429, {"error": {"code": "too_many_requests", "message": "slow down", "limit": {"reset": reset}}}


def test_a_limit_that_ends_soon_is_waited_for():
    api = Api(busy(1010), busy(1010), (200, {"envs": []}))
    assert api.vercel().variables() == []
    assert api.now == 1012.0, "until it ends, then a moment, for clocks differ"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([busy(1000 + BUSY_SECONDS + 1)], id="it ends too late"),
        pytest.param([busy(None)], id="nobody says when"),
        pytest.param([(429, {"error": {"limit": 3}})], id="it says something else"),
        pytest.param([busy(1001)] * 40, id="it goes on for ever"),
    ],
)
def test_a_limit_is_not_waited_for_without_end(answers):
    api = Api(*answers)
    with pytest.raises(BusyError, match="takes no more requests of this account"):
        api.vercel().variables()
    assert api.now <= 1000 + BUSY_SECONDS + 2


def test_what_is_refused_is_not_asked_twice():
    api = Api((400, {"error": {"code": "bad_request"}}))
    with pytest.raises(VercelError, match="Vercel refused to promote"):
        api.vercel().promote("dpl_1")
    assert len(api.asked) == 1


def test_variables_are_read_to_their_last_page():
    api = Api(
        (200, {"envs": [{"key": "A"}], "pagination": {"next": 17}}),
        (200, {"envs": [{"key": "B"}], "pagination": {"next": None}}),
    )
    assert [one["key"] for one in api.vercel("team_x").variables()] == ["A", "B"]
    assert api.asked[1] == "GET /v10/projects/shop/env?until=17&teamId=team_x"


@pytest.mark.parametrize("document", [{"error": "not found"}, {"error": ["odd"]}, "text", [], None])
def test_an_error_in_words_of_somebody_else_is_one_line(document):
    with pytest.raises(VercelError) as met:
        Api((502, document)).vercel().variables()
    assert "\n" not in str(met.value)
    assert TOKEN not in str(met.value)
    assert str(met.value).startswith("Vercel did not answer list variables (502")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [("production", ["production"]), (["preview", "production"], ["preview", "production"]), (None, [])],
)
def test_the_environments_of_a_variable_are_a_list(told, wanted):
    assert Api((200, {"envs": [{"key": "A", "target": told}]})).vercel().variables() == [{"key": "A", "target": wanted}]
