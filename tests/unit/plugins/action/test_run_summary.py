# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's variables in, one summary without secrets out."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import yaml
from ansible_collections.runbook.ops.plugins.action.run_summary import ARGUMENTS, ActionModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.modules import run_summary as documented

BAD = make_check("x", name="x", section="S", status="critical", detail="hunter2 was refused")
DONE = make_change("t", action="a", section="S", reason="token=abcdef")
SYSTEM = {"databases": [{"name": "d", "password": "hunter2"}], "run": {}, "changed": False}


def summed(arguments: dict[str, Any], **variables: Any) -> dict[str, Any]:
    task = Mock(async_val=0, args=arguments, check_mode=False, diff=False, action="run_summary")
    return ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock()).run(
        task_vars={"system_description": SYSTEM, **variables}
    )


def test_only_internal_names_are_looked_at() -> None:
    result = summed({}, __mine={"checks": [BAD]}, yours={"checks": [BAD], "changes": [DONE]})
    assert (len(result["checks"]), len(result["changes"])) == (1, 0)
    assert not result.get("failed")
    assert result["failure"] is None


def test_secrets_of_the_description_and_what_looks_like_one_are_hidden() -> None:
    failure = {"failed_task": {"name": "T"}, "failed_result": {"msg": "hunter2 is wrong"}}
    result = summed(failure, __mine={"checks": [BAD], "changes": [DONE]})
    assert result["checks"][0]["detail"] == "(hidden) was refused"
    assert result["changes"][0]["reason"] == "token=(hidden)"
    assert result["failure"] == {"task": "T", "message": "(hidden) is wrong"}


def test_the_verdict_fails_the_task_and_keeps_the_summary() -> None:
    result = summed({"fail_on": "critical"}, __mine={"checks": [BAD]})
    assert (result["failed"], result["msg"]) == (True, "1 of 1 checks is critical: x")
    assert result["status"] == "critical"


def test_the_documentation_and_the_arguments_agree() -> None:
    said = yaml.safe_load(documented.DOCUMENTATION)["options"]
    assert {
        name: {key: value for key, value in one.items() if key != "description"} for name, one in said.items()
    } == ARGUMENTS
