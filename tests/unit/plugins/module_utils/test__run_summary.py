# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has observed and changed, collected from the results of its tasks."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._run_summary import failure_of, summarise, verdict


def check(identity: str, status: str = "ok") -> dict[str, Any]:
    return make_check(identity, name=identity, section="S", status=status)


def change(thing: str) -> dict[str, Any]:
    return make_change(thing, action="a", section="S", reason="r")


def test_checks_and_changes_are_collected_in_the_order_of_registration() -> None:
    summary = summarise(
        {
            "__b": {"checks": [check("2"), check("1", "warning")], "changes": [change("x")]},
            "__a": {"checks": [check("3", "critical")]},
            "__c": {"changes": [change("y")], "rc": 0},
        }
    )
    assert [one["id"] for one in summary["checks"]] == ["2", "1", "3"]
    assert [one["thing"] for one in summary["changes"]] == ["x", "y"]
    assert summary["status"] == "critical"
    assert summary["counts"] == {"ok": 1, "unknown": 0, "warning": 1, "critical": 1, "changes": 2}


def test_of_checks_with_one_identity_the_later_counts() -> None:
    summary = summarise(
        {"__before": {"checks": [check("1", "critical"), check("2")]}, "__after": {"checks": [check("1")]}}
    )
    assert [(one["id"], one["status"]) for one in summary["checks"]] == [("2", "ok"), ("1", "ok")]


def test_a_change_that_was_predicted_and_done_counts_once() -> None:
    summary = summarise({"__plan": {"changes": [change("x")]}, "__done": {"changes": [change("x"), change("y")]}})
    assert [one["thing"] for one in summary["changes"]] == ["x", "y"]


def test_results_of_a_loop_are_looked_into() -> None:
    summary = summarise(
        {"__loop": {"results": [{"checks": [check("1")]}, {"skipped": True}, {"changes": [change("x")]}]}}
    )
    assert (len(summary["checks"]), len(summary["changes"])) == (1, 1)


def test_an_earlier_summary_is_not_counted_again() -> None:
    assert summarise({"__record_summary": {"changes": [change("x")]}})["changes"] == []


@pytest.mark.parametrize(
    "value", [None, 3, "checks", [], {"checks": 3}, {"checks": [3, {"x": 1}]}, {"changes": {"thing": "x"}}], ids=repr
)
def test_other_values_are_passed_over(value: Any) -> None:
    summary = summarise({"__x": value})
    assert (summary["checks"], summary["changes"], summary["status"]) == ([], [], "ok")


TASK = {"name": "change | Vacuum", "action": "runbook.ops.pg_maintenance", "no_log": False}
FAILURES = [
    pytest.param(TASK, {}, None, id="none failed"),
    pytest.param(None, None, None, id="not in a rescue"),
    pytest.param(TASK, {"msg": "no connection"}, "no connection", id="message"),
    pytest.param(TASK, {"msg": "non-zero return code", "stderr": "a\nb: not found\n"}, "b: not found", id="program"),
    pytest.param(
        TASK,
        {"msg": "The command exited with a non-zero return code.", "stderr": "b: not found"},
        "b: not found",
        id="program, Ansible 2.21",
    ),
    pytest.param(TASK, {"msg": ""}, "no reason was given", id="silent"),
    pytest.param(
        TASK,
        {"msg": "One or more items failed", "results": [{"msg": "fine"}, {"failed": True, "msg": "second"}]},
        "second",
        id="item of a loop",
    ),
    pytest.param(
        {**TASK, "no_log": True}, {"msg": "hunter2"}, "hidden, because the task handles a secret", id="no_log"
    ),
    pytest.param(
        TASK, {"msg": "x", "_ansible_no_log": True}, "hidden, because the task handles a secret", id="no_log result"
    ),
]


@pytest.mark.parametrize(("task", "result", "message"), FAILURES)
def test_a_failure_is_told_by_its_task_and_what_it_said(task: Any, result: Any, message: str | None) -> None:
    expected = None if message is None else {"task": "change | Vacuum", "message": message}
    assert failure_of(task, result) == expected


def test_a_task_without_a_name_is_told_by_its_action() -> None:
    failure = failure_of({"name": "", "action": "ansible.builtin.command"}, {"msg": "x"})
    assert failure is not None
    assert failure["task"] == "ansible.builtin.command"


BAD = [check("a"), check("b", "warning"), check("c", "critical"), check("d", "unknown"), check("e", "critical")]
VERDICTS = [
    pytest.param(BAD, "never", None, id="never"),
    pytest.param(BAD, "critical", "2 of 5 checks are critical: c, e", id="critical"),
    pytest.param(BAD, "warning", "3 of 5 checks are warning or critical: b, c, e", id="warning"),
    pytest.param(BAD[:3], "critical", "1 of 3 checks is critical: c", id="one"),
    pytest.param(BAD[:2], "critical", None, id="none so bad"),
    pytest.param([], "warning", None, id="no checks"),
]


@pytest.mark.parametrize(("checks", "fail_on", "line"), VERDICTS)
def test_the_verdict_names_the_checks_that_are_bad_enough(checks: Any, fail_on: str, line: str | None) -> None:
    assert verdict(checks, fail_on) == line
