# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up what this run has observed and changed on a host so far. Runs on the controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.action.system_description import OPTIONS
from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, plain, secrets
from ansible_collections.runbook.ops.plugins.module_utils._run_record import redact
from ansible_collections.runbook.ops.plugins.module_utils._run_summary import failure_of, summarise


class ActionModule(ActionBase):
    """Everything registered under a name that begins with ``__`` and has checks or changes belongs to the summary."""

    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("failed_task", "failed_result"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        described = variables.get("system_description") or {}
        known = secrets({f"{PREFIX}{name}": value for name, value in described.items()}, OPTIONS)
        registered = {name: value for name, value in variables.items() if name.startswith("__")}
        summary = summarise(registered)
        summary["failure"] = failure_of(self._task.args.get("failed_task"), self._task.args.get("failed_result"))
        return {**result, "changed": False, **redact(plain(summary), known)}
