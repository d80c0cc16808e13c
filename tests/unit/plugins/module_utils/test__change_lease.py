# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the lock of a host's changes is, and for how long."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import (
    UNTAKEN,
    Clock,
    brief,
    left_seconds,
    lost,
    released,
    renewed,
    standing,
    taken,
    told,
)

RUN = {
    "id": "aaa",
    "playbook": "deploy",
    "user": "ada",
    "controller": "laptop",
    "process": "b/p/1/2",
    "started_at": "-",
}
OTHER = {**RUN, "id": "bbb", "playbook": "rollback"}
PLACE = {"system": "shop", "host": "web-1"}
START = Clock("boot-1", 1000.0, 1_800_000_000.0)


def later(seconds: float, *, boot: str = "boot-1", at: float | None = None) -> Clock:
    return Clock(boot, START.ticks + seconds if boot == "boot-1" else 5.0, START.at + seconds if at is None else at)


def lock(run=RUN, state=UNTAKEN, lease=900.0):
    return taken(state, run, START, place=PLACE, lease_seconds=lease)


@pytest.mark.parametrize(
    ("state", "now", "words", "expected"),
    [
        pytest.param(UNTAKEN, START, {}, "free", id="nobody ever took it"),
        pytest.param(released(lock()), START, {}, "free", id="it was given back"),
        pytest.param(lock(OTHER), later(9999), {}, "mine", id="its owner, also when the lease is over"),
        pytest.param(lock(), later(899), {}, "held", id="another run within its lease"),
        pytest.param(lock(), later(900), {}, "over", id="another run past its lease"),
        pytest.param(lock(), later(1), {"gone": "aaa"}, "gone", id="a run that is known to be dead"),
        pytest.param(lock(), later(1), {"gone": "ccc"}, "held", id="another one that is known to be dead"),
        pytest.param(lock(), later(1), {"broken": "aaa"}, "broken", id="broken by its owner's name"),
        pytest.param(lock(), later(1), {"broken": "yes"}, "held", id="broken by any other name"),
        pytest.param(lock(), later(899, boot="boot-2"), {}, "held", id="after a reboot, by the wall clock"),
        pytest.param(lock(), later(901, boot="boot-2"), {}, "over", id="after a reboot, past its lease"),
        pytest.param(lock(), later(10, at=START.at + 9999), {}, "held", id="a wall clock that was set forward"),
        pytest.param(lock(), later(901, at=START.at - 9999), {}, "over", id="a wall clock that was set back"),
    ],
)
def test_the_lock_stands_to_a_run(state, now, words, expected):
    assert standing(state, "bbb", now, **words) == expected


def test_a_wall_clock_that_was_set_back_during_a_reboot_makes_no_lease_longer():
    assert left_seconds(lock(lease=60), later(0, boot="boot-2", at=START.at - 10_000)) == 60


def test_the_number_grows_with_each_change_of_hands_and_with_nothing_else():
    first = lock()
    again = taken(first, RUN, later(5), place=PLACE, lease_seconds=900)
    second = taken(again, OTHER, later(2000), place=PLACE, lease_seconds=900)
    back = taken(released(second), RUN, later(2001), place=PLACE, lease_seconds=900)
    assert [state["number"] for state in (first, again, second, back)] == [1, 1, 2, 3]


def test_a_second_play_of_a_run_does_not_shorten_the_lease_of_the_first():
    again = taken(lock(lease=900), RUN, later(100), place=PLACE, lease_seconds=60)
    assert left_seconds(again, later(100)) == 800


def test_a_renewed_lease_begins_now():
    assert left_seconds(renewed(lock(lease=60), later(50), lease_seconds=60), later(50)) == 60


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(lock(), None, id="it is still ours"),
        pytest.param(released(lock()), "the lock 1 of run aaa was given back or taken over since", id="given back"),
        pytest.param(
            lock(OTHER, lock()), "the lock 1 of run aaa was taken over by rollback (run bbb)", id="taken over"
        ),
        pytest.param(
            lock(RUN, released(lock())), "the lock 1 of run aaa was taken over by deploy (run aaa)", id="an older turn"
        ),
    ],
)
def test_who_lost_the_lock_is_told_to_whom(state, expected):
    assert lost(state, 1, "aaa") == expected


def test_who_holds_it_is_told_by_name():
    assert told(lock(), later(300)) == (
        "deploy of ada on laptop changes this host since 2027-01-15T08:00:00Z (run aaa, its lease ends in 600 s)"
    )
    assert brief(UNTAKEN, START) is None
    assert brief(lock(), later(300)) == {
        "owner": "aaa",
        "playbook": "deploy",
        "user": "ada",
        "controller": "laptop",
        "process": "b/p/1/2",
        "host": "web-1",
        "system": "shop",
        "taken_at": "2027-01-15T08:00:00Z",
        "renewed_at": "2027-01-15T08:00:00Z",
        "left_seconds": 600.0,
    }
