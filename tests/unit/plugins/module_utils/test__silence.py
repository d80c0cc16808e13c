# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which silence says already what is wished, and what must not be silenced."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._silence import (
    Matcher,
    SilenceError,
    covered,
    is_enough,
    read_matchers,
    request,
    same,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
CPU = Matcher("alertname", "HighCPUUsage")


def silence(*matchers, state="active", left=3600, begun=60, number=1):
    entry = request(list(matchers), None, now=NOW, seconds=left, comment="c", by="b")
    starts = f"{NOW - timedelta(seconds=begun):%Y-%m-%dT%H:%M:%S}.123Z"
    return {**entry, "id": str(number), "status": {"state": state}, "startsAt": starts}


def raw(name, value, *, regex=False, equal=True):
    return {"name": name, "value": value, "regex": regex, "equal": equal}


def test_a_silence_is_known_by_its_matchers_in_any_order():
    instance = Matcher("instance", "a:9100")
    there = [silence(instance, CPU, number=1), silence(CPU, number=2), silence(CPU, instance, left=9000, number=3)]
    assert [found["id"] for found in same(there, sorted([CPU, instance]))] == ["3", "1"]


def test_one_that_has_ended_does_not_count():
    assert same([silence(CPU, state="expired")], [CPU]) == []


@pytest.mark.parametrize(
    ("left", "begun", "enough"),
    [(7200, 60, True), (6500, 60, True), (6400, 60, False), (90000, 60, True), (7200, -60, False)],
    ids=["as long", "a tenth less", "shorter", "longer", "begins later"],
)
def test_it_is_prolonged_only_where_it_is_clearly_shorter(left, begun, enough):
    assert is_enough(silence(CPU, left=left, begun=begun), now=NOW, seconds=7200) is enough


def test_a_longer_wish_prolongs_the_one_that_is_there():
    old = silence(CPU)
    body = request([CPU], old, now=NOW, seconds=7200, comment="why", by="maria")
    assert (body["id"], body["startsAt"][:19], body["endsAt"]) == (
        "1",
        old["startsAt"][:19],
        "2026-11-21T14:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        ([raw("alertname", "High.*", regex=True)], True),
        ([raw("alertname", "High", regex=True)], False),
        ([raw("alertname", "HighCPUUsage"), raw("instance", "b")], False),
        ([raw("alertname", "HighCPUUsage"), raw("instance", "b", equal=False)], True),
    ],
)
def test_whom_it_silences_is_told(matchers, fits):
    alert = {"labels": {"alertname": "HighCPUUsage", "instance": "a"}}
    assert covered([alert], read_matchers(matchers)) == ([alert["labels"]] if fits else [])


@pytest.mark.parametrize(
    "matchers",
    [[], [raw("alertname", ".*", regex=True)], [raw("severity", "page", equal=False)], [raw("alertname", "")]],
)
def test_everything_cannot_be_silenced(matchers):
    with pytest.raises(SilenceError, match="would silence every alert"):
        read_matchers(matchers)


@pytest.mark.parametrize(("name", "value"), [("alert-name", "x"), ("alertname", "(")])
def test_a_wrong_matcher_is_refused(name, value):
    with pytest.raises(SilenceError, match=r"is no (name|regular)"):
        read_matchers([raw(name, value, regex=True)])
