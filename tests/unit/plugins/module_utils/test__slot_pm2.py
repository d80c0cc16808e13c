# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _slot_pm2
from ansible_collections.runbook.ops.plugins.module_utils._release import Release
from ansible_collections.runbook.ops.plugins.module_utils._slot_pm2 import Pm2Slot


class Pm2:
    """PM2 as it answers; what it is told to do is only noted."""

    user, pm2_home = "root", "/nowhere"

    def __init__(self):
        self.runs, self.told = None, []

    def processes(self):
        environment = {"RUNBOOK_OPS_RELEASE": self.runs, "PORT": "3001"}
        return [{"name": "api-new", "pid": None, "pm2_env": {"status": "online", "env": environment}}]

    def command(self, *_arguments, **_more):
        return lambda *arguments, **_options: self.told.append(arguments[0])


@pytest.mark.parametrize(("runs", "told"), [("r2", []), ("r0", ["delete", "start"])], ids=["as it was", "older"])
def test_what_pm2_has_brought_back_after_a_boot_is_not_taken_for_what_was_started(tmp_path, monkeypatch, runs, told):
    monkeypatch.setattr(_slot_pm2, "wait_for_port", lambda *_arguments, **_more: None)
    release = Release(
        "r2", "api", "git", str(tmp_path), "c" * 40, None, None, None, {"script": "a.js"}, None, None, [], "2026", {}
    )
    pm2 = Pm2()
    slot = Pm2Slot(pm2, None, name="green", label="api-new", port=3001, directory=tmp_path)
    slot.start(release, {})
    pm2.runs, pm2.told = runs, []
    slot.start(release, {})
    assert pm2.told == told
