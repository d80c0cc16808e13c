# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_ledger as ledger

A, B, C, D = (f"20260101T00000{n}Z-aaaaaaaaaaa{n}" for n in range(4))


def told(*pairs: str) -> list[dict[str, str]]:
    """Return events from words such as ``good A``."""
    names = {"A": A, "B": B, "C": C, "D": D}
    return [{"event": word.split()[0], "release": names[word.split()[1]]} for word in pairs]


@pytest.mark.parametrize(
    ("history", "but", "target"),
    [
        pytest.param([], None, None, id="nothing ever happened"),
        pytest.param(["built A", "staged A", "live A"], None, None, id="live is not good yet"),
        pytest.param(["good A"], A, None, id="only the live one was ever good"),
        pytest.param(["good A", "good B"], B, A, id="the one before the live one"),
        pytest.param(["good A", "good B", "live C"], C, B, id="from one that is not good yet, to the last good one"),
        pytest.param(["good A", "good B", "bad C"], B, A, id="one that was bad is passed over"),
        pytest.param(["good A", "good B", "good C", "rolled_back C", "live B"], B, A, id="the one left is no target"),
        pytest.param(["good A", "good B", "rolled_back B", "live A", "good A"], A, None, id="twice back is not forth"),
        pytest.param(["good A", "bad A", "good A"], B, A, id="bad once, good when it was tried again"),
        pytest.param(["good A", "good B", "pruned A"], B, None, id="what is gone is no target"),
        pytest.param(["good A", "good B", "good A"], A, B, id="an older one that went live again"),
        pytest.param(["good A", "good B", "retired A"], B, A, id="a slot that was stopped says nothing of the release"),
    ],
)
def test_a_rollback_goes_to_the_release_that_was_good_last(history, but, target):
    names = {A: A, B: B, C: C, None: None}
    assert ledger.last_good(told(*history), but=names[but]) == target


def test_the_newest_good_ones_come_newest_first():
    events = told("good A", "good B", "good C", "good D", "rolled_back D", "good A")
    assert ledger.newest_good(events, 2) == [A, C]
    assert ledger.newest_good(events, 9) == [A, C, B]
    assert ledger.newest_good(events, 0) == []


def test_a_line_that_a_power_cut_has_torn_is_left_out():
    whole = json.dumps({"event": "good", "release": A})
    text = f'{whole}\n{whole[:9]}\n[1]\n{{"event": "danced", "release": "{A}"}}\n{{"event": "good", "release": 3}}\n'
    assert ledger.parse(text) == [{"event": "good", "release": A}]
