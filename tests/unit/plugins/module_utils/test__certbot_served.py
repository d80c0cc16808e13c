# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a server is asked until what it serves is proven, and what is told of it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _certbot_served
from ansible_collections.runbook.ops.plugins.module_utils._certbot_served import Look, Trust, judge, prove

RIGHT = Look("shop", "ab" * 32, 1.0, [], [], 0, 2)
WRONG = RIGHT._replace(wrong=["a: another certificate is served"], others=1)
OTHER = RIGHT._replace(uncovered=["b.example"])
UNREAD = Look("shop", None, 0.0, [], ["cert.pem cannot be read"], 0, 0)
UNASKED = RIGHT._replace(asked=0)


@pytest.mark.parametrize(
    ("looks", "seconds", "count"),
    [
        pytest.param([RIGHT] * 9, 60, 3, id="right three times in a row"),
        pytest.param([WRONG, *[RIGHT] * 9], 60, 4, id="right after a moment"),
        pytest.param([RIGHT, RIGHT, WRONG, *[RIGHT] * 9], 60, 6, id="an old worker in between begins anew"),
        pytest.param([RIGHT, RIGHT, OTHER, *[RIGHT] * 9], 60, 6, id="so does one that is not valid for a name"),
        pytest.param([UNASKED] * 9, 60, 3, id="nothing to ask for"),
        pytest.param([UNREAD] * 9, 60, 3, id="nothing to compare with"),
        pytest.param([WRONG] * 9, 0, 1, id="never, and the time is over"),
    ],
)
def test_a_server_is_asked_until_it_is_right_a_few_times_in_a_row(
    monkeypatch: pytest.MonkeyPatch, looks: list[Look], seconds: float, count: int
) -> None:
    left = list(looks)
    monkeypatch.setattr(_certbot_served, "look", lambda _certificate, _trust: left.pop(0))
    monkeypatch.setattr(_certbot_served.time, "sleep", lambda _seconds: None)
    found = prove([{"name": "shop"}], Trust(5, True, None), seconds=seconds)
    assert (found, len(looks) - len(left)) == ({"shop": looks[count - 1]}, count)


@pytest.mark.parametrize(
    ("seen", "status", "value", "words"),
    [
        pytest.param(RIGHT, "ok", 2, "is served under 2 of 2 names", id="right"),
        pytest.param(WRONG, "critical", 1, "another certificate is served", id="wrong under one"),
        pytest.param(OTHER, "critical", 2, "not valid for b.example", id="not valid for one"),
        pytest.param(UNREAD, "critical", 0, "cannot be read", id="no file"),
        pytest.param(UNASKED, "unknown", 0, "nobody said where", id="nowhere"),
    ],
)
def test_what_is_served_is_told_by_name(seen: Look, status: str, value: int, words: str) -> None:
    check = judge(seen, None)
    assert (check["status"], check["value"], words in check["detail"]) == (status, value, True)
    assert judge(seen, "nginx -t: no")["detail"].startswith("nginx -t: no")
