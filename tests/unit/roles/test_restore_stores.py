# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role restore does with a store before it is exchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

TASKS = Path(__file__).parents[3] / "roles" / "restore" / "tasks"
SET = {"__restore_stage": "none", "restore_skip_last_backup": "", "__restore_kind": "mongodb"}


def task_of(file: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in yaml.safe_load((TASKS / file).read_text()) if one["name"].endswith(name))
    return found


@pytest.mark.parametrize(
    ("values", "made"),
    [
        pytest.param({}, True, id="a live database"),
        pytest.param({"__restore_result": {"replaces": False}}, False, id="one that somebody has dropped"),
        pytest.param({"restore_skip_last_backup": "it is down"}, False, id="not wanted"),
        pytest.param({"__restore_stage": "swapped"}, False, id="the restored one is live"),
    ],
)
def test_a_last_backup_is_made_of_what_is_there(values, made):
    told = {**SET, "__restore_result": {"replaces": True}, **values}
    conditions = task_of("store_prepare.yml", "Back up the live database a last time")["when"]
    assert all(NativeEnvironment().from_string(f"{{{{ {one} }}}}").render(told) for one in conditions) is made


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("act.yml", "Bring the restore to its next state"),
        ("store_mongodb.yml", "Bring the restore to its next state"),
        ("store_last_mongodb.yml", "Back up the live database a last time"),
        ("store_redis.yml", "Bring the restore to its next state"),
        ("store_prepare.yml", "Back up the live server a last time"),
        ("store_files.yml", "Bring the restore to its next state"),
    ],
)
def test_what_took_hours_to_save_gets_the_hours_to_be_restored(file, name):
    task = task_of(file, name)
    (options,) = (value for key, value in task.items() if key.startswith("runbook.ops."))
    assert options["timeout_seconds"] == "{{ restore_timeout_seconds }}"
    defaults = yaml.safe_load((TASKS.parent / "defaults" / "main.yml").read_text())
    saving = yaml.safe_load((TASKS.parents[1] / "backup" / "defaults" / "main.yml").read_text())
    assert defaults["restore_timeout_seconds"] >= saving["backup_timeout_seconds"]
