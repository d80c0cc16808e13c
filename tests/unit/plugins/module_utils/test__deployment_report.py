# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment_outage import longest
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, Seen
from ansible_collections.runbook.ops.plugins.module_utils._deployment_report import (
    changes_of,
    lines,
    predicted,
    snapshot,
    state_check,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import Done

CUT = Entry("run", "deploy", "r1", "green", "r0", "blue", "switching", 0.0)


def seen(live="r0", entry=None, runs="r0"):
    return Seen(entry, Live("blue", live) if live else None, None, {"blue": runs, "green": None}, {}, None)


@pytest.mark.parametrize(
    ("there", "status", "words"),
    [
        pytest.param(seen(), "ok", "r0 serves from slot blue", id="all well"),
        pytest.param(seen(None), "ok", "nothing was deployed", id="never deployed"),
        pytest.param(seen(runs=None), "critical", "does not run", id="what is live is down"),
        pytest.param(seen(entry=CUT), "warning", "deploy of r1 is switching", id="cut off"),
        pytest.param(
            seen(entry=CUT._replace(phase="gated", parked=True)), "ok", "r1 is staged", id="staged on purpose"
        ),
    ],
)
def test_how_a_service_is_deployed_is_said_in_one_line(there, status, words):
    check = state_check("api", there, there.entry)
    assert check["status"] == status
    assert words in check["detail"]


def test_only_steps_that_change_something_are_changes():
    done = [Done("start", "r1", "green", 1.5), Done("gate", "r1", "green", 6.0), Done("switch", "r1", "green", 0.2)]
    found = changes_of("api", done, before="r0", reason="asked")
    assert [(one["action"], one["before"], one["after"]) for one in found] == [
        ("started", None, None),
        ("made live", "r0", "r1"),
    ]


def test_what_is_predicted_is_what_is_done_without_its_time():
    steps = ["prepare", "start", "gate", "switch", "watch", "mark"]
    done = [Done(step, "r1", "green", 1.0) for step in steps]
    made = changes_of("api", done, before="r0", reason="it is asked for")
    assert predicted("api", steps, "r1", "green", before="r0") == [{**one, "seconds": None} for one in made]


def test_a_snapshot_tells_what_is_staged():
    assert snapshot("api", seen(entry=CUT._replace(phase="gated")))["staged"] == "r1"
    assert snapshot("api", seen(entry=CUT))["staged"] is None


@pytest.mark.parametrize(("moments", "seconds"), [([0.0, 1.0, 4.0, 4.5], 3.0), ([1.0], 0.0), ([], 0.0)])
def test_an_outage_is_the_longest_time_between_two_answers(moments, seconds):
    assert longest(moments) == seconds


def test_people_are_told_what_serves_and_what_there_is_to_go_back_to():
    releases = [
        {"id": "r1", "version": "1.6.0", "ref": "main", "good": True},
        {"id": "r0", "version": None, "ref": None, "good": False},
    ]
    found = {**snapshot("api", seen("r1", runs="r1")), "last_good": "r7", "releases": releases}
    assert lines(found) == ["api: r1, back to r7", "  r1  1.6.0 main  live, good, runs in blue", "  r0  -  -"]
