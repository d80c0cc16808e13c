# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the record of this run written, and find out on the controller which earlier runs were interrupted."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.module_utils._run_record import abandoned
from ansible_collections.runbook.ops.plugins.plugin_utils._controller import is_gone


class ActionModule(ActionBase):
    """One round trip, and a second one only where an interrupted run is found."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        options = {"at": now, "interrupted": {}, "lease_seconds": 21600, **self._task.args}
        answer = self._execute_module("runbook.ops.run_record", module_args=options, task_vars=task_vars)
        reasons = {}
        for other in answer.get("unfinished", ()):
            gone = is_gone(other["process"])
            lease = float(options["lease_seconds"])
            reason = abandoned(other, options["run"], gone=gone, lease_seconds=lease, at=options["at"])
            if reason:
                reasons[other["id"]] = reason
        if reasons:
            options["interrupted"] = {**options["interrupted"], **reasons}
            answer = self._execute_module("runbook.ops.run_record", module_args=options, task_vars=task_vars)
        return {**result, **answer}
