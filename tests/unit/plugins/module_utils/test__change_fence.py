# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that work for long keep the lock of changes, and do nothing where another run has it."""

from __future__ import annotations

from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _change_fence
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import left_seconds
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, look, now, take

# What is before the work, and the function that is the work.
MODULES = {
    "pg_restore": (["Restore", "PgTarget", "Options", "Writers", "application"], "run"),
    "file_restore": (["FileRestore", "Writers", "Restore"], "Restore.return_value.run"),
    "mongodb_restore": (["MongoRestore", "Writers", "Restore"], "Restore.return_value.run"),
    "redis_restore": (["RedisRestore", "Writers", "Restore"], "Restore.return_value.run"),
    "pgbackrest_restore": (["PgBackRest", "Restore"], "run"),
    "pg_import": ([], "run"),
    "bucket_sync": ([], "run"),
}
CALLS = [
    *("restore/tasks/act.yml", "restore/tasks/store_redis.yml", "restore/tasks/store_mongodb.yml"),
    *("restore/tasks/store_files.yml", "disaster_recovery/tasks/database.yml", "disaster_recovery/tasks/files_of.yml"),
    *("disaster_recovery/tasks/redis.yml", "point_in_time/tasks/act.yml", "data_import/tasks/act.yml"),
    "bucket_mirror/tasks/bring_back.yml",
]


class EndedError(Exception):
    """What a module said last."""


class Call:
    """One call of a module, whose work is only told of."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plugin = import_module(f"ansible_collections.runbook.ops.plugins.modules.{name}")
        before, path = MODULES[name]
        for one in before:
            monkeypatch.setattr(self.plugin, one, MagicMock())
        first, _, rest = path.partition(".return_value.")
        if not rest:
            monkeypatch.setattr(self.plugin, first, MagicMock())
        self.work = getattr(self.plugin, first)
        if rest:
            self.work = getattr(self.work.return_value, rest)
        self.work.side_effect = self._told
        self.left: float | None = None
        self.module = MagicMock()
        self.module.fail_json.side_effect = lambda **said: self._end(said["msg"])
        self.module.exit_json.side_effect = lambda **_: self._end("done")
        monkeypatch.setattr(self.plugin, "AnsibleModule", lambda **_: self.module)

    def __call__(self, fence: Fence | None, *, check_mode: bool = False) -> str:
        given: dict[str, Any] = {"journal_directory": "/nowhere", "fence": fence._asdict() if fence else None}
        self.module.params, self.module.check_mode = defaultdict(lambda: None, given), check_mode
        self.directory = fence.directory if fence else ""
        with pytest.raises(EndedError) as ended:
            self.plugin.main()
        return str(ended.value)

    def _told(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.directory:
            self.left = left_seconds(look(self.directory), now())
        return {}

    @staticmethod
    def _end(said: str) -> None:
        raise EndedError(said)


@pytest.fixture(params=MODULES)
def call(request, monkeypatch) -> Call:
    return Call(request.param, monkeypatch)


@pytest.fixture
def fence(tmp_path) -> Fence:
    state, _ = take(str(tmp_path), {"id": "run1"}, place={}, lease_seconds=5)
    return Fence(str(tmp_path), state["number"], "run1")


def test_its_lease_does_not_end_while_it_works(call, fence):
    assert call(fence) == "done"
    assert call.left is not None and call.left > 600


def test_nothing_is_begun_where_another_run_has_taken_over(call, fence):
    take(fence.directory, {"id": "run2", "playbook": "deploy"}, place={}, lease_seconds=60, broken="run1")
    assert "was taken over by deploy (run run2): nothing was written after that" in call(fence)
    assert not call.work.called


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_prediction_and_who_took_no_lock_need_none(call, fence, check_mode):
    before = look(fence.directory)
    assert call(fence if check_mode else None, check_mode=check_mode) == "done"
    assert call.work.called and look(fence.directory) == before


@pytest.mark.parametrize("path", CALLS)
def test_the_roles_hand_on_what_the_lock_gave_them(path):
    roles = Path(_change_fence.__file__).parents[2] / "roles"
    assert 'fence: "{{ change_fence | default(omit) }}"' in (roles / path).read_text(encoding="utf-8")
