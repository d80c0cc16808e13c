# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

from ansible_collections.runbook.ops.plugins.module_utils._release_keep import choose
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import EVENTS, last_good, newest_good

CASES = 10_000


def test_what_is_needed_is_never_pruned_whatever_happened():
    dice = random.Random(20260301)
    for _case in range(CASES):
        names = [f"r{number:02}" for number in range(dice.randint(0, 12))]
        known = [*names, "gone1", "gone2"]
        events = [
            {"event": dice.choice(EVENTS), "release": dice.choice(known)} for _event in range(dice.randint(0, 40))
        ]
        live = dice.choice([None, *known])
        named = set(dice.sample(known, dice.randint(0, 2)))
        running = set(dice.sample(known, dice.randint(0, 2)))
        keep = dice.randint(0, 5)
        kept = choose(names, events, live=live, named=named, running=running, keep=keep)

        needed = {live, last_good(events, but=live), *named, *running, *newest_good(events, keep)}
        assert not needed & set(kept.goes), (events, live, named, running, keep)
        assert sorted([*kept.stays, *kept.goes]) == names
        left = [name for name in names if name in kept.stays]
        pruned = [{"event": "pruned", "release": name} for name in kept.goes]
        again = choose(left, [*events, *pruned], live=live, named=named, running=running, keep=keep)
        assert again.goes == [], "a second run finds nothing"
        assert last_good([*events, *pruned], but=live) in (None, *left, "gone1", "gone2")


def told(*pairs: str) -> list[dict[str, str]]:
    return [dict(zip(("event", "release"), pair.split(), strict=True)) for pair in pairs]


def test_each_release_that_stays_says_why():
    events = told(
        "good a", "good b", "built bad", "live bad", "bad bad", "good c", "good d", "live d", "built tried", "bad tried", "built new"
    )  # fmt: skip
    kept = choose(
        ["a", "b", "bad", "c", "d", "tried", "new", "slot"], events, live="d", named=["slot"], running=["a"], keep=1
    )
    assert kept.goes == ["b", "bad", "tried"]
    assert kept.stays == {
        "a": "a process runs from it",
        "c": "it is the last good one",
        "d": "it is live",
        "new": "it was built since, and never tried",
        "slot": "a slot or a deploy that is under way names it",
    }


def test_what_was_built_before_the_last_switch_and_never_tried_may_go():
    events = told("built old", "good a", "live a")
    assert choose(["old", "a"], events, live="a", named=[], running=[], keep=5).goes == ["old"]
