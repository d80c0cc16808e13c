# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A review is compared with the look nearest to the begin of its period, and looks by hand do not disturb that."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import DAY, choose, keep

NOW = 1_000 * DAY
WEEK = 7 * DAY


def looks(*days):
    return [{"at": NOW - day * DAY, "counters": {"a": {"day": day}}} for day in days]


@pytest.mark.parametrize(
    ("days", "day"),
    [
        pytest.param((14, 7), 7, id="a week ago"),
        pytest.param((14, 7.01, 6.99), 6.99, id="a run that was a little early"),
        pytest.param((14, 7, 3), 7, id="a look by hand between them"),
        pytest.param((14, 3), 14, id="a week without a run"),
        pytest.param((3, 1), 3, id="not yet a week of them: the oldest"),
        pytest.param((), None, id="the first"),
    ],
)
def test_the_look_nearest_to_the_begin_of_the_period_is_compared_with(days, day):
    found = choose(looks(*days), "a", now=NOW, since_seconds=WEEK)
    assert (found and found[0]["day"]) == day


def test_a_look_at_something_else_or_from_the_future_is_none():
    assert choose(looks(7), "b", now=NOW, since_seconds=WEEK) is None
    assert choose(looks(-1), "a", now=NOW, since_seconds=WEEK) is None


def test_one_look_a_day_is_kept_of_each_probe_and_none_of_last_year():
    before = looks(300, 7)
    once = keep(before, {"a": 1}, now=NOW)
    assert [one["at"] for one in once] == [NOW - WEEK, NOW]
    assert keep(once, {"a": 2}, now=NOW + 3600) == once
    assert keep(once, {"a": 2, "b": 3}, now=NOW + 3600)[-1] == {"at": NOW + 3600, "counters": {"b": 3}}
    assert len(keep(once, {"a": 2}, now=NOW + DAY)) == 3


def test_without_counters_nothing_is_kept():
    assert keep([], {}, now=NOW) == []
