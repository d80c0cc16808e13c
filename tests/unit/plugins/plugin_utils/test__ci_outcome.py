# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one number that a pipeline gets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.plugin_utils._ci_outcome import judge

Event = dict[str, Any]


def event(kind: str, host: str = "a", *, task: str = "deployment", **data: Any) -> Event:
    more = {"ignore_errors": data.pop("ignore_errors", None), "task_uuid": task, "task_action": f"runbook.ops.{task}"}
    return {"event": f"runner_on_{kind}", "event_data": {"host": host, "res": data, **more}}


CHANGE = {"changes": [{"thing": "release"}]}
BEGUN = event("start")
BUILT = event("ok", **CHANGE)
PROMOTED = event("ok", outcome="promoted", release="r2", seconds={"switch": 0.1}, **CHANGE)
RESCUE = event("failed", msg="the record says why")


@pytest.mark.parametrize(
    ("events", "rc", "code"),
    [
        pytest.param([], 0, 0, id="nothing to do"),
        pytest.param([BUILT, PROMOTED], 0, 0, id="done"),
        pytest.param([event("failed", msg="no such version")], 2, 10, id="refused before anything"),
        pytest.param([BUILT, event("failed", outcome="refused", msg="x"), RESCUE], 2, 10, id="refused by the module"),
        pytest.param([BUILT, event("failed", outcome="rolled_back", msg="x"), RESCUE], 2, 11, id="rolled back"),
        pytest.param([event("failed", outcome="not_rolled_back", msg="x"), RESCUE], 2, 12, id="not rolled back"),
        pytest.param([PROMOTED, event("failed", msg="afterwards")], 2, 12, id="a failure after a change"),
        pytest.param([event("unreachable", msg="no route")], 4, 13, id="not reached"),
        pytest.param([BUILT, event("unreachable", msg="gone")], 4, 12, id="gone in the middle"),
        pytest.param(
            [PROMOTED, event("failed", "b", outcome="rolled_back", msg="x")],
            2,
            12,
            id="one host changed, the next went back",
        ),
        pytest.param(
            [event("failed", ignore_errors=True, msg="x"), event("failed", msg="y")], 2, 10, id="an ignored failure"
        ),
        pytest.param([BEGUN], 254, 12, id="cut off while it switched"),
        pytest.param([BEGUN, event("unreachable", msg="gone")], 4, 12, id="gone while it switched"),
        pytest.param(
            [BEGUN, event("failed", msg="MODULE FAILURE", module_stderr="Killed")], 2, 12, id="a module that broke"
        ),
        pytest.param([event("start", task="release")], 254, 10, id="cut off while it built"),
        pytest.param(
            [BEGUN, event("ok"), event("failed", task="assert", msg="x")], 2, 10, id="what has ended is not open"
        ),
        pytest.param([event("failed", results=[{"outcome": "rolled_back", "msg": "x"}])], 2, 11, id="within a loop"),
    ],
)
def test_each_end_has_its_number(events: list[Event], rc: int, code: int) -> None:
    assert judge(events, rc).code == code


def test_the_first_failure_is_the_reason_and_not_what_the_rescue_says() -> None:
    told = judge([BUILT, event("failed", outcome="rolled_back", msg="version 1.3\n answers"), RESCUE], 2)
    assert (told.word, told.message) == ("rolled_back", "a: version 1.3 answers")


def test_each_host_tells_its_release_and_how_long_its_steps_took() -> None:
    assert judge([PROMOTED], 0).hosts == {"a": {"outcome": "promoted", "release": "r2", "seconds": {"switch": 0.1}}}


def test_a_prediction_changes_nothing() -> None:
    assert not judge([PROMOTED], 0, check_mode=True).changed


def test_a_run_that_came_to_no_host_says_what_ansible_said() -> None:
    told = judge([], 4, said="ERROR! the inventory cannot be read")
    assert (told.code, told.message) == (10, "ERROR! the inventory cannot be read")


def test_of_two_calls_on_a_host_the_steps_of_both_are_told() -> None:
    staged = event("ok", outcome="staged", release="r2", seconds={"start": 1.5, "gate": 12.0}, **CHANGE)
    promoted = event("ok", outcome="promoted", release="r2", seconds={"gate": 0.8, "switch": 0.1}, **CHANGE)
    told = judge([staged, promoted], 0).hosts["a"]
    assert told == {"outcome": "promoted", "release": "r2", "seconds": {"start": 1.5, "gate": 12.8, "switch": 0.1}}
