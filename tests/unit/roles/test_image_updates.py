# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewal that fails goes back and says so; a prediction that fails has nothing to go back from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[3] / "roles/image_updates"
ROLE = ROOT / "tasks"
KNOWN: dict[str, Any] = {
    "__image_updates_image": {"service": "Web", "reference": "nginx:1.27"},
    "__image_updates_wrong": "it has no such file",
}


@pytest.mark.parametrize(
    ("check_mode", "says"),
    [
        (False, "Web did not serve with the newer nginx:1.27, and has its old image again: it has no such file"),
        (True, "Web cannot be made anew with the newer nginx:1.27: it has no such file"),
    ],
    ids=["done", "predicted"],
)
def test_only_what_was_done_is_undone(check_mode: bool, says: str) -> None:
    *back, last = yaml.safe_load((ROLE / "change.yml").read_text())[1]["rescue"]
    templar = Templar(loader=DataLoader(), variables={**KNOWN, "ansible_check_mode": check_mode})
    assert str(templar.template(trust_as_template(last["ansible.builtin.fail"]["msg"]))).strip() == says
    done = [
        task["register"]
        for task in back
        if "register" in task and templar.template(trust_as_template(f"{{{{ {task.get('when', 'true')} }}}}"))
    ]
    assert done == ([] if check_mode else ["__image_updates_returned", "__image_updates_undone"])


TASKS = [
    {"module": "pg_backup", "name": "ledger", "job": "nightly"},
    {"module": "redis_backup", "name": "cache", "job": "stores"},
    {"module": "redis_backup", "name": "ledger", "job": "other"},
    {"module": "backup_verify", "name": "ledger", "job": "nightly"},
    {"module": "pg_backup", "name": "elsewhere", "job": "far"},
]


@pytest.mark.parametrize(
    ("due", "jobs", "unsaved"),
    [
        pytest.param(["postgres"], ["nightly"], [], id="a database and its dump, not a Redis server of the same name"),
        pytest.param(["redis"], ["stores"], [], id="a Redis server that is backed up"),
        pytest.param(["postgres", "redis"], ["nightly", "stores"], [], id="both"),
        pytest.param(["mongo"], [], ["letters"], id="a database that nobody backs up"),
        pytest.param(["queue"], [], [], id="a Redis server that nobody backs up is a cache"),
        pytest.param(["web"], [], [], id="nothing is kept there"),
        pytest.param([], [], [], id="nothing newer"),
    ],
)
def test_what_the_renewed_services_hold_is_backed_up(due: list[str], jobs: list[str], unsaved: list[str]) -> None:
    given = {
        "image_updates_databases": [
            {"name": "ledger", "service": "postgres"},
            {"name": "letters", "service": "mongo"},
            {"name": "elsewhere"},
        ],
        "image_updates_redis": [{"name": "cache", "service": "redis"}, {"name": "jobs", "service": "queue"}],
        "image_updates_backup_tasks": TASKS,
        "__image_updates_due": [{"service": name} for name in due],
    }
    known = yaml.safe_load((ROOT / "vars/main.yml").read_text())
    templar = Templar(
        loader=DataLoader(),
        variables={**{key: trust_as_template(value) for key, value in known.items()}, **given},
    )
    said = templar.template(
        trust_as_template("{{ [__image_updates_saves | map(attribute='job') | list, __image_updates_unsaved] }}")
    )
    assert said == [jobs, unsaved]
