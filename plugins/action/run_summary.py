# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up what this run has observed and changed on a host so far. Runs on the controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.action.system_description import OPTIONS
from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, plain, secrets
from ansible_collections.runbook.ops.plugins.module_utils._run_record import redact
from ansible_collections.runbook.ops.plugins.module_utils._run_summary import failure_of, summarise, verdict

ARGUMENTS = {
    "fail_on": {"type": "str", "choices": ["critical", "warning", "never"], "default": "never"},
    "failed_task": {"type": "dict", "default": {}},
    "failed_result": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """Everything registered under a name that begins with ``__`` and has checks or changes belongs to the summary."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        described = variables.get("system_description") or {}
        known = secrets({f"{PREFIX}{name}": value for name, value in described.items()}, OPTIONS)
        registered = {name: value for name, value in variables.items() if name.startswith("__")}
        _valid, asked = self.validate_argument_spec(ARGUMENTS)
        summary = summarise(registered)
        summary["failure"] = failure_of(asked["failed_task"], asked["failed_result"])
        bad = verdict(summary["checks"], asked["fail_on"])
        said = {"failed": True, "msg": bad} if bad else {}
        return {**result, "changed": False, **redact(plain({**summary, **said}), known)}
