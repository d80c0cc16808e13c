# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages wait for their receivers, and nothing is lost or doubled."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._monitor_outbox import (
    MOST_MESSAGES,
    channel_checks,
    deliver,
    forget_channels,
    put,
)
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError

STEP = 300


def fresh():
    return {"outbox": [], "channels": {}}


def message(number, identity="disk:/"):
    return {"id": f"m{number}", "events": [{"id": identity}]}


class Receiver:
    """Takes messages, but for the times and channels at which it is down."""

    def __init__(self):
        self.down, self.refuses, self.got = set(), set(), []

    def __call__(self, channel, one):
        if channel in self.down:
            raise NotifyError("no answer")
        if one["id"] in self.refuses:
            raise NotifyError("550 no", refused=True)
        self.got.append((channel, one["id"]))


def run(state, receiver, now, saved=None):
    kept = [] if saved is None else saved
    return deliver(state, receiver, now=now, keep=lambda: kept.append(copy.deepcopy(state)))


def test_each_receiver_gets_each_message_once_and_in_order():
    state, receiver = fresh(), Receiver()
    for number in range(3):
        put(state, message(number), ["email", "webhook"])
    assert run(state, receiver, 0) == []
    run(state, receiver, STEP)
    assert receiver.got == [(name, f"m{number}") for name in ("email", "webhook") for number in range(3)]
    assert state["outbox"] == []


def test_nothing_is_lost_or_doubled_while_one_receiver_is_down_for_an_hour():
    state, receiver = fresh(), Receiver()
    for turn in range(24):
        receiver.down = {"email"} if turn < 12 else set()
        put(state, message(turn), ["email", "webhook"])
        run(state, receiver, turn * STEP)
    for name in ("email", "webhook"):
        assert [one for channel, one in receiver.got if channel == name] == [f"m{turn}" for turn in range(24)]


def test_a_receiver_that_is_down_is_asked_for_one_message_a_turn_and_ever_more_seldom():
    state, asked = fresh(), []
    for number in range(5):
        put(state, message(number), ["email"])

    def send(_channel, one):
        asked.append(one["id"])
        raise NotifyError("no answer")

    for turn in range(24):
        deliver(state, send, now=turn * STEP, keep=lambda: None)
    assert set(asked) == {"m0"}
    assert 8 <= len(asked) <= 12


def test_a_message_that_is_refused_holds_no_other_up_and_is_dropped_after_a_day():
    state, receiver = fresh(), Receiver()
    receiver.refuses = {"m0"}
    put(state, message(0), ["email"])
    put(state, message(1), ["email"])
    run(state, receiver, 0)
    assert receiver.got == [("email", "m1")]
    assert [one["id"] for one in state["outbox"]] == ["m0"]
    assert "is dropped" in run(state, receiver, 86500)[-1]
    assert state["outbox"] == []


def test_what_was_saved_before_a_kill_repeats_at_most_the_message_that_was_under_way():
    state, receiver, saved = fresh(), Receiver(), []
    for number in range(3):
        put(state, message(number), ["email"])
    run(state, receiver, 0, saved)
    assert [[one["id"] for one in old["outbox"]] for old in saved] == [["m1", "m2"], ["m2"], []]


def test_too_many_messages_drop_the_oldest_and_the_next_one_says_how_many():
    state = fresh()
    for number in range(MOST_MESSAGES + 3):
        put(state, message(number), ["email"])
    assert len(state["outbox"]) == MOST_MESSAGES
    assert state["outbox"][0]["id"] == "m3"
    assert state["outbox"][-1]["dropped"] + state["dropped"] >= 1
    assert sum(one["dropped"] for one in state["outbox"]) + state["dropped"] == 3


def test_a_receiver_that_is_down_is_told_of_by_the_others():
    state, receiver = fresh(), Receiver()
    receiver.down = {"email"}
    put(state, message(0), ["email", "webhook"])
    run(state, receiver, 0)
    (check,) = channel_checks(state, ["email", "webhook"])
    assert (check["id"], check["status"], check["value"]) == ("monitor:email", "warning", 1)
    put(state, message(1, "monitor:email"), ["email", "webhook"])
    assert state["outbox"][-1]["pending"] == ["webhook"]


def test_a_message_that_only_says_that_the_only_receiver_is_down_is_not_written():
    state = fresh()
    put(state, message(0, "monitor:email"), ["email"])
    assert state["outbox"] == []


def test_what_waits_for_a_receiver_that_is_no_longer_there_is_forgotten():
    state = fresh()
    put(state, message(0), ["email", "webhook"])
    put(state, message(1), ["email"])
    forget_channels(state, ["webhook"])
    assert [one["pending"] for one in state["outbox"]] == [["webhook"]]


@pytest.mark.parametrize("now", [-10_000_000, 0, 10_000_000])
def test_a_clock_that_jumped_delays_nothing_for_long(now):
    state, receiver = fresh(), Receiver()
    receiver.down = {"email"}
    put(state, message(0), ["email"])
    run(state, receiver, 0)
    receiver.down = set()
    run(state, receiver, now + 1000)
    assert receiver.got == [("email", "m0")]
