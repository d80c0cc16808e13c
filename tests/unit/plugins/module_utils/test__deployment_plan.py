# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import (
    Live,
    PlanError,
    Seen,
    Wish,
    changes,
    place,
    plan,
    settles,
)

PM2 = {"blue": 3000, "green": 3001}
COMPOSE = {"base": 3000, "blue": 3000, "green": 3001}


def seen(live=("blue", "r0"), *, entry=None, adoptable=None, slots=None, ports=None, last_good=None):
    ports = ports or PM2
    slots = {**dict.fromkeys(ports), **(slots or ({live[0]: live[1]} if live else {}))}
    return Seen(entry, Live(*live) if live else None, adoptable, slots, ports, last_good)


def entry(phase, *, kind="deploy", release="r1", parked=False):
    return Entry("run", kind, release, "green", "r0", "blue", phase, 0.0, parked=parked)


@pytest.mark.parametrize(
    ("there", "wish", "steps"),
    [
        pytest.param(seen(), Wish("staged", "r1"), "prepare start gate", id="stage beside what serves"),
        pytest.param(seen(), Wish("promoted", "r1"), "prepare start gate switch watch mark", id="and promote it"),
        pytest.param(
            seen(),
            Wish("promoted", "r1", keep_standing=False),
            "prepare start gate switch watch mark retire",
            id="and stop the old",
        ),
        pytest.param(
            seen(None), Wish("promoted", "r1"), "prepare start gate switch watch mark", id="nothing serves yet"
        ),
        pytest.param(
            seen(None, adoptable="blue", slots={"blue": ""}),
            Wish("promoted", "r1"),
            "adopt prepare start gate switch watch mark",
            id="what a person started is taken first",
        ),
        pytest.param(
            seen(entry=entry("gated"), slots={"blue": "r0", "green": "r1"}),
            Wish("promoted", None),
            "gate switch watch mark",
            id="what is staged is only asked again",
        ),
        pytest.param(
            seen(entry=entry("gated")),
            Wish("promoted", "r1"),
            "start gate switch watch mark",
            id="what is staged has died since",
        ),
        pytest.param(
            seen(slots={"blue": "r1", "green": "r0"}, live=("blue", "r1"), last_good="r0"),
            Wish("rolled_back", None),
            "prepare gate switch mark retire",
            id="back to what still runs",
        ),
        pytest.param(
            seen(last_good="r7"),
            Wish("rolled_back", None),
            "prepare start gate switch mark retire",
            id="back to what does not",
        ),
        pytest.param(seen(), Wish("promoted", "r1", beside=False), "prepare switch watch mark", id="in place"),
        pytest.param(seen(), Wish("promoted", "r0"), "", id="it is live already"),
        pytest.param(seen(), Wish("recovered", None), "", id="nothing was cut off"),
        pytest.param(seen(slots={"blue": "r0", "green": "r1"}), Wish("retired", None), "retire", id="stop what stands"),
        pytest.param(
            seen(slots={"blue": "r0", "green": "r1"}, entry=entry("gated", parked=True)),
            Wish("retired", None),
            "",
            id="but not what is staged",
        ),
    ],
)
def test_what_is_done_follows_from_what_is_there(there, wish, steps):
    assert plan(there, wish) == steps.split()


@pytest.mark.parametrize(
    ("what", "state", "release", "step"),
    [
        (entry("prepared"), "promoted", "r2", "undo"),
        (entry("gated"), "promoted", "r1", None),
        (entry("gated"), "promoted", None, None),
        (entry("gated"), "promoted", "r2", "undo"),
        (entry("gated"), "recovered", None, "undo"),
        (entry("gated", parked=True), "recovered", None, None),
        (entry("gated", parked=True), "rolled_back", None, "undo"),
        (entry("gated", kind="rollback"), "promoted", "r1", "undo"),
        (entry("switching"), "recovered", None, "finish"),
        (entry("watched"), "staged", "r2", "finish"),
        (entry("returning"), "promoted", "r1", "return"),
        (None, "promoted", "r1", None),
    ],
)
def test_what_was_cut_off_is_undone_before_the_switch_and_finished_after_it(what, state, release, step):
    assert settles(what, Wish(state, release)) == step


@pytest.mark.parametrize(
    ("there", "name", "slot"),
    [
        (seen(), "r1", "green"),
        (seen(("green", "r0")), "r1", "blue"),
        (seen(None), "r1", "blue"),
        (seen(("base", "r0"), ports=COMPOSE), "r1", "green"),
        (seen(("green", "r1"), ports=COMPOSE, slots={"base": "r0", "green": "r1"}), "r0", "base"),
        (seen(("green", "r1"), ports=COMPOSE), "r2", "blue"),
    ],
)
def test_a_release_goes_where_it_stands_or_beside_what_serves(there, name, slot):
    assert place(there, Wish("promoted", name), name) == slot


def test_without_a_second_slot_there_is_no_beside():
    with pytest.raises(PlanError, match="standby_port"):
        place(seen(ports={"blue": 3000}), Wish("promoted", "r1"), "r1")


def test_in_place_it_goes_where_the_old_one_is():
    assert place(seen(("green", "r0")), Wish("promoted", "r1", beside=False), "r1") == "green"


def test_looking_changes_nothing():
    assert not changes(["prepare", "gate"])
    assert changes(["gate", "switch"])
