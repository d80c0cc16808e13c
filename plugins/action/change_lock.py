# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the lock of a host's changes taken, and find out on the controller whether its holder has ended without a word."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.plugin_utils._controller import is_gone

PATIENCE_SECONDS = 10  # how long the host waits by itself before it is asked here whether the holder still lives


class ActionModule(ActionBase):
    """One round trip where the lock is free; as many as the wait is long where it is not."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        options = dict(self._task.args)
        deadline = time.monotonic() + int(options.get("wait_seconds") or 0)
        options["wait_seconds"] = 0
        while True:
            answer = self._execute_module("runbook.ops.change_lock", module_args=options, task_vars=task_vars)
            holder = answer.get("holder") or {}
            left = deadline - time.monotonic()
            if not answer.get("failed") or answer.get("before") != "held":
                break
            if options.get("gone") != holder["owner"] and is_gone(holder["process"] or ""):
                options["gone"] = holder["owner"]
            elif left <= 0:
                break
            else:
                options["wait_seconds"] = max(1, min(PATIENCE_SECONDS, int(left)))
        return {**result, **answer}
