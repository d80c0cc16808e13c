# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the calendar runs leaves a record, or the report would say of a healthy system that it never ran."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
INVENTORIES = sorted(
    path.name for path in (ROOT / "inventories").iterdir() if (path / "group_vars" / path.name).is_dir()
)


def calendar() -> list[Path]:
    """Return the playbooks that the calendars of the inventories name, and that are here."""
    named = {
        entry["playbook"]
        for name in INVENTORIES
        for entry in yaml.safe_load((ROOT / "inventories" / name / "group_vars" / name / "main.yml").read_text())[
            "ops_schedule"
        ]
    }
    return [path for path in sorted((ROOT / "playbooks").glob("*.yml")) if path.stem in named]


LEAVE_NONE = {
    *("change_status", "deploy_status", "schedule_status", "service_status", "diagnose"),
    *("schedule", "schedule_backups", "install_monitoring", "dashboards", "silence_alert"),
}


def test_all_playbooks_leave_a_record_but_those_that_the_docs_name() -> None:
    without = {
        path.stem for path in (ROOT / "playbooks").glob("*.yml") if "runbook.ops.record" not in path.read_text("utf-8")
    }
    assert without == LEAVE_NONE
    table = (ROOT / "docs" / "records.md").read_text("utf-8").partition("| Leaves no record |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == LEAVE_NONE


def test_the_calendars_are_read() -> None:
    assert len(INVENTORIES) == 5
    assert {"health_check", "evening_review", "log_analysis"} <= {path.stem for path in calendar()}


@pytest.mark.parametrize("playbook", calendar(), ids=lambda path: path.stem)
def test_what_the_calendar_runs_opens_a_record_and_closes_it_also_where_it_fails(playbook: Path) -> None:
    parts: dict[str, list[Any]] = {"block": [], "rescue": []}
    for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
        for task in play.get("tasks", []):
            for part, roles in parts.items():
                for one in task.get(part, []):
                    roles.append(
                        one.get("ansible.builtin.import_role") or one.get("ansible.builtin.include_role") or {}
                    )
    named = {part: [(role.get("name"), role.get("tasks_from")) for role in roles] for part, roles in parts.items()}
    assert named["block"][0] == ("runbook.ops.record", None)
    assert ("runbook.ops.record", "close") in named["block"]
    assert named["rescue"][-1] == ("runbook.ops.record", "failed")


def look(folder: Path, playbook: str = "health_check", **more: Any) -> tuple[int, str, list[dict[str, Any]]]:
    """Run a playbook on this machine; return how it ended, what it said, and the records it left."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
        "ops_system": {"name": "shop"},
        "record_directory": str(folder / "runs"),
        "health_probes": [{"probe": "memory", "percent": {"warning": 100, "critical": 100}}],
        **more,
    }
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }
    (folder / "ansible.cfg").write_text("")  # not this machine's own
    command = [str(ANSIBLE), "-i", "a,", "-e", json.dumps(variables), str(ROOT / "playbooks" / f"{playbook}.yml")]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    records = [json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))]
    return ended.returncode, ended.stdout + ended.stderr, records


FULL = [{"probe": "memory", "percent": {"warning": 0.001, "critical": 0.002}}]


@pytest.mark.parametrize(
    ("more", "code", "statuses"),
    [
        pytest.param({}, 0, [], id="by hand it leaves none"),
        pytest.param({"schedule_entry": "morning-check"}, 0, ["ok"], id="the calendar"),
        pytest.param({"health_check_record": "true"}, 0, ["ok"], id="asked for"),
        pytest.param({"health_probes": FULL}, 2, [], id="by hand what is bad fails"),
        pytest.param(
            {"schedule_entry": "x", "health_probes": FULL}, 2, ["failed"], id="and in the calendar is recorded"
        ),
    ],
)
def test_the_morning_checklist_leaves_a_record_where_the_calendar_runs_it(
    tmp_path: Path, more: dict[str, Any], code: int, statuses: list[str]
) -> None:
    ended, said, records = look(tmp_path, **more)
    assert (ended, "1 critical" in said) == (code, code == 2), said
    assert [record["status"] for record in records] == statuses
    assert all(record["playbook"] == "health_check" and record["checks"] for record in records)
    assert ("Open the record" in said) == bool(statuses)


@pytest.mark.parametrize(
    ("good", "code", "status"),
    [pytest.param(True, 0, "ok", id="done"), pytest.param(False, 2, "failed", id="refused")],
)
def test_a_rotation_leaves_a_record_of_what_it_deleted(tmp_path: Path, good: bool, code: int, status: str) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in range(1, 5):
        (backups / f"shop_2026010{day}.dump").write_text("whole" if good else "")
    rotation = {"name": "shop", "directory": str(backups), "pattern": "shop_*.dump", "keep": {"last": 2}}
    more = {"backup_rotation_backups": [rotation], "backup_rotation_minimum": 1}
    ended, said, (record,) = look(tmp_path, "rotate_backups", **more)
    assert (ended, record["status"], record["playbook"]) == (code, status, "rotate_backups"), said
    assert bool(record["changes"]) == good and len(list(backups.iterdir())) == (2 if good else 4)
    assert record["checks"], said
