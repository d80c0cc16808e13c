# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module diagnose on the host, and put what it found aside on the controller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.action.system_description import OPTIONS
from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, plain, secrets
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
from ansible_collections.runbook.ops.plugins.plugin_utils._diagnosis_bundle import put_aside

KEPT = ("checks", "status", "summary", "topics", "seconds")


class ActionModule(ActionBase):
    """The module, and its evidence on the controller: results that others see stay small."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        directory = arguments.pop("directory", None)
        host = variables.get("inventory_hostname", "")
        described = variables.get("system_description") or {}
        known = secrets({f"{PREFIX}{name}": value for name, value in described.items()}, OPTIONS)
        arguments["known_secrets"] = [*(arguments.get("known_secrets") or []), *known]
        try:
            result.update(
                self._execute_module(module_name="runbook.ops.diagnose", module_args=arguments, task_vars=task_vars)
            )
        except AnsibleConnectionFailure as exc:
            self._put_aside(directory, host, {"error": f"not reached: {Redactor(known)(str(exc)).splitlines()[0]}"})
            raise
        if not directory:
            return result
        if "topics" in result:
            # What the host has taken out, the controller takes out again: it need not believe the host.
            content = Redactor(known).deep(plain({key: result.get(key) for key in KEPT}))
        else:
            said = str(result.get("msg") or result.get("module_stderr") or "it gave no reason").strip()
            content = {"error": f"the module failed: {Redactor(known)(said).splitlines()[-1]}"}
        self._put_aside(directory, host, content)
        result["topics"] = [
            {key: value for key, value in topic.items() if key != "text"} for topic in result.get("topics") or []
        ]
        return result

    def _put_aside(self, directory: str | None, host: str, content: dict[str, Any]) -> None:
        if directory and not self._task.check_mode:
            path = Path(os.path.expanduser(str(directory)))  # noqa: PTH111  # of no user: the text stays as it is
            put_aside(path, host, content)
