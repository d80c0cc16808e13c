# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a check alerts, reminds and clears."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._monitor_alerts import Policy, follow

STEP = 300
LETTERS = {"o": "ok", "u": "unknown", "w": "warning", "c": "critical"}


def check(identity="disk:/", status="ok", because=None, section="Host"):
    one = make_check(identity, name=identity, section=section, status=status, value=91, limit=90, detail="full")
    return {**one, "because": because}


def watch(looks, policy=None):
    """Follow one look after the other; return the events of each as ``kind id status``."""
    known, told = {}, []
    for number, checks in enumerate(looks):
        known, events = follow(known, checks, policy=policy or Policy(), now=number * STEP)
        told.append([f"{event['kind']} {event['id']} {event['status']}" for event in events])
    return told


def kinds(statuses, policy=None):
    """Return what one check that goes through ``statuses`` tells at each look, . for nothing."""
    told = watch([[check(status=LETTERS[letter])] for letter in statuses], policy)
    return " ".join(events[0].split()[0] if events else "." for events in told)


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        pytest.param("oooo", ". . . .", id="a check that is well says nothing"),
        pytest.param("ocoo", ". . . .", id="one bad look is none"),
        pytest.param("occ", ". . alert", id="the second bad look alerts"),
        pytest.param("cc", ". alert", id="a host that is ill from the start alerts too"),
        pytest.param("uu", ". alert", id="not to be seen is bad as well"),
        pytest.param("occcc", ". . alert . .", id="it alerts once"),
        pytest.param("ccoo", ". alert . .", id="two good looks are not enough"),
        pytest.param("ccooo", ". alert . . clear", id="the third good look clears"),
        pytest.param("ccoocooo", ". alert . . . . . clear", id="good looks are counted anew after a bad one"),
        pytest.param("wwcc", ". alert . worse", id="worse is told after as many looks"),
        pytest.param("wwcwcwcw", ". alert . . . . . .", id="between two limits nothing is told"),
        pytest.param("ccwwwcc", ". alert . . . . worse", id="better is not told, and worse again is"),
        pytest.param("wc", ". alert", id="looks of two kinds are bad looks"),
    ],
)
def test_what_was_seen_lately_decides(statuses, told):
    assert kinds(statuses) == told


def test_an_alert_is_as_bad_as_all_of_the_looks_that_it_needs():
    assert watch([[check(status="warning")], [check(status="critical")]])[1] == ["alert disk:/ warning"]


@pytest.mark.parametrize("pattern", ["co", "cooc"])
def test_what_flaps_faster_than_the_policy_says_nothing_in_a_hundred_turns(pattern):
    assert set(kinds(pattern * 100, Policy(after=3)).split()) == {"."}


def test_what_flaps_slower_than_the_policy_alerts_and_clears_each_time():
    told = kinds("ccooo" * 100).split()
    assert (told.count("alert"), told.count("clear"), told.count("reminder")) == (100, 100, 0)


def test_a_reminder_comes_when_its_time_is_over_and_not_before():
    policy = Policy(remind_seconds=2 * STEP)
    assert kinds("cccccc", policy) == ". alert . reminder . reminder"


def test_without_a_time_there_are_no_reminders():
    assert kinds("c" * 50, Policy(remind_seconds=0)).count("reminder") == 0


def test_a_clock_that_was_set_back_does_not_silence_the_reminder():
    known, _events = follow({}, [check(status="critical")], policy=Policy(after=1), now=1_000_000)
    _known, events = follow(known, [check(status="critical")], policy=Policy(after=1), now=10)
    assert [event["kind"] for event in events] == ["reminder"]


def test_a_consequence_is_told_with_its_cause():
    looks = [[check("pg", "critical"), check("api", "critical", because="pg")]] * 3
    known, events = {}, []
    for number, checks in enumerate(looks):
        known, now = follow(known, checks, policy=Policy(), now=number)
        events += now
    assert [(event["id"], event["follows"]) for event in events] == [("pg", ["api (critical)"])]


def test_what_stays_bad_after_its_cause_is_gone_alerts_after_as_many_looks():
    both = [check("pg", "critical"), check("api", "critical", because="pg")]
    alone = [check("pg"), check("api", "critical")]
    assert watch([both, both, alone, alone]) == [[], ["alert pg critical"], [], ["alert api critical"]]


def test_what_alerted_before_its_cause_was_known_is_cleared_only_when_it_is_well():
    alone, both = [check("api", "critical")], [check("pg", "critical"), check("api", "critical", because="pg")]
    well = [check("pg"), check("api")]
    told = watch([alone, alone, both, both, well, well, well])
    assert told == [[], ["alert api critical"], [], ["alert pg critical"], [], [], ["clear pg ok", "clear api ok"]]


def test_the_worst_stands_first_and_what_is_over_last():
    bad = [check("a", "critical"), check("b"), check("c")]
    then = [check("a"), check("b", "warning"), check("c", "critical")]
    assert watch([bad, bad, then, then, then], Policy(after=2, clear=2))[3] == [
        "alert c critical",
        "alert b warning",
        "clear a ok",
    ]


def test_a_check_that_is_no_longer_there_is_told_as_that():
    bad, other = [check("disk:/mnt", "critical"), check()], [check()]
    assert watch([bad, bad, other, other, other])[4] == ["gone disk:/mnt ok"]


def test_a_probe_that_cannot_look_clears_nothing():
    bad = [check("disk:/", "critical")]
    blind = [check("disk", "unknown")]
    told = [event for events in watch([bad, bad, *[blind] * 5]) for event in events]
    assert told == ["alert disk:/ critical", "alert disk unknown"]


def test_only_what_is_bad_or_was_lately_is_remembered():
    known, _events = follow({}, [check("a"), check("b", "warning")], policy=Policy(), now=0)
    assert list(known) == ["b"]
    for now in range(1, 5):
        known, _events = follow(known, [check("a"), check("b")], policy=Policy(), now=now)
    assert known == {}
