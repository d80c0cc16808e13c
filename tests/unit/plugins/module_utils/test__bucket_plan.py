# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is copied, replaced and deleted, and what is too much of it."""

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import Entry, file_time
from ansible_collections.runbook.ops.plugins.module_utils._bucket_plan import (
    GONE,
    NEW,
    REPLACED,
    SAME,
    UNSURE,
    Pair,
    Plan,
    Rails,
    judge,
    pair,
    refusal,
)

RAILS = Rails(30, 50)
TODAY = 1_795_000_000.0


def entry(key: str, tag: str = "t", size: int = 1, modified_at: float = 0) -> Entry:
    return Entry(key, size, tag, modified_at)


def test_two_lists_are_paired_name_by_name():
    chance = random.Random(1)
    for _round in range(50):
        left, right = ({f"k{chance.randrange(40):02}" for _ in range(chance.randrange(30))} for _ in range(2))
        found = list(pair(*(iter([entry(key) for key in sorted(side)]) for side in (left, right))))
        assert [one.key for one in found] == sorted(left | right)
        assert {one.key for one in found if one.kind == NEW} == left - right
        assert {one.key for one in found if one.kind == GONE} == right - left


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        pytest.param(entry("a", "x"), entry("a", "x", modified_at=9), SAME, id="the same tag, whatever the times"),
        pytest.param(entry("a", "x", 2), entry("a", "x", 3), REPLACED, id="another size"),
        pytest.param(entry("a", "x"), entry("a", "y"), UNSURE, id="another tag may be of the same content"),
        pytest.param(entry("a", "x", 1, 7.9), entry("a", "", 1, 7), SAME, id="a file with the object's time"),
        pytest.param(entry("a", "x", 1, 8), entry("a", "", 1, 7), REPLACED, id="a file with another time"),
        pytest.param(
            entry("a", "x", 1, TODAY),
            entry("a", "", 1, file_time(entry("a", "x", 1, TODAY))),
            SAME,
            id="a file of this tag",
        ),
        pytest.param(
            entry("a", "y", 1, TODAY),
            entry("a", "", 1, file_time(entry("a", "x", 1, TODAY))),
            REPLACED,
            id="replaced in one second",
        ),
        pytest.param(entry("a", "", 1, 7), entry("a", "x", 1, 7), UNSURE, id="a file is read before it is believed"),
    ],
)
def test_content_is_the_same_by_size_and_tag(source, target, kind):
    assert judge(source, target) == kind


@pytest.mark.parametrize(
    ("counts", "known", "words"),
    [
        pytest.param({}, (0, True, None, 0), None, id="nothing on both sides"),
        pytest.param({NEW: 9}, (0, True, None, 9), None, id="a first run"),
        pytest.param(
            {GONE: 9}, (9, False, None, 0), "the source is empty", id="an empty source, also where nothing goes"
        ),
        pytest.param({GONE: 3}, (10, True, 10, 7), None, id="as much is gone as may be"),
        pytest.param({GONE: 4}, (10, True, 10, 6), "4 of the 10 objects", id="more is gone"),
        pytest.param({GONE: 4}, (10, False, 10, 6), "it held 10 when it was last", id="more is gone, and stays here"),
        pytest.param({GONE: 9}, (10, False, 1, 1), None, id="much was kept that has long been gone"),
        pytest.param({REPLACED: 5}, (10, True, 10, 10), None, id="half is replaced"),
        pytest.param(
            {REPLACED: 6}, (10, True, 10, 10), "6 of the 10 objects .* would be replaced", id="more is replaced"
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(counts, known, words):
    there, deletes, last, now = known
    counts = {NEW: 0, SAME: 0, REPLACED: 0, GONE: 0, **counts}
    reason = refusal(counts, there, RAILS, deletes=deletes, last=last, now=now)
    assert reason is None if words is None else re.search(words, reason) and "Nothing was changed" in reason


def test_what_is_to_be_done_is_read_back_as_it_was_noted():
    plan = Plan()
    strange = entry("a\udcff\n\t", "x", 5)
    for one in (Pair(NEW, strange, None), Pair(SAME, entry("b"), entry("b")), Pair(GONE, None, entry("c"))):
        plan.add(one)
    assert list(plan.steps(NEW, GONE)) == [Pair(NEW, strange, None), Pair(GONE, None, entry("c"))]
    assert (plan.source.objects, plan.target.objects, plan.bytes[NEW]) == (2, 2, 5)
