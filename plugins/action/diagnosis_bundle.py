# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one bundle of what all hosts gave. Runs on the controller."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_summary import as_text
from ansible_collections.runbook.ops.plugins.plugin_utils._diagnosis_bundle import files_of, read_aside, write_bundle

EVENTS_TOLD = 12  # the rest stands in the bundle
ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "path": {"type": "path", "required": True},
    "system": {"type": "str", "required": True},
    "run": {"type": "str", "default": ""},
    "hosts": {"type": "list", "elements": "str", "required": True},
}


class ActionModule(ActionBase):
    """Reads what the action diagnose put aside."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, asked = self.validate_argument_spec(ARGUMENTS)
        path, aside = (Path(os.path.expanduser(asked[name])) for name in ("path", "directory"))  # noqa: PTH111  # of no user: the text stays
        if self._task.check_mode:
            return {**result, "changed": False, "path": str(path), "msg": f"{path} would be written"}
        at, title = time.time(), f"Diagnosis of {asked['system']}"
        hosts = read_aside(aside, asked["hosts"])
        files = files_of(hosts, title=title, system=asked["system"], run=asked["run"], at=at)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            digest = write_bundle(path, files, aside=aside, at=at)
        except OSError as exc:
            return {
                **result,
                "failed": True,
                "msg": f"The bundle could not be written to {path}: {exc.strerror}. What the hosts gave is in {aside}.",
            }
        told = as_text(title, hosts, at=at, most=EVENTS_TOLD).rpartition("\n\nWHAT STANDS OUT")[0]
        return {
            **result,
            "changed": False,
            "path": str(path.absolute()),
            "sha256": digest,
            "files": len(files),
            "bytes": path.stat().st_size,
            "not_reached": [host["host"] for host in hosts if host.get("error")],
            "msg": f"{told}\n\nBundle: {path.absolute()}",
            "_ansible_verbose_always": True,  # this task exists to speak
        }
